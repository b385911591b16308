# The cluster, its network, and the registry that its nodes pull from.

data "aws_availability_zones" "here" {
  #checkov:skip=CKV_AWS_394:The first two are taken, however many there will be.
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.here.names, 0, 2)
}

resource "aws_vpc" "location" {
  #checkov:skip=CKV2_AWS_11:Flow logs are a matter of the account, not of each network; network policies bound the pods.
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_default_security_group" "none" {
  vpc_id = aws_vpc.location.id
}

resource "aws_subnet" "nodes" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.location.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(aws_vpc.location.cidr_block, 4, count.index)
  tags              = { "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_subnet" "edge" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.location.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(aws_vpc.location.cidr_block, 8, 128 + count.index)
  tags              = { "kubernetes.io/role/elb" = "1" }
}

resource "aws_internet_gateway" "location" {
  vpc_id = aws_vpc.location.id
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

# One for both zones: another cloud is the spare, not another zone.
resource "aws_nat_gateway" "location" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.edge[0].id
  depends_on    = [aws_internet_gateway.location]
}

resource "aws_route_table" "nodes" {
  vpc_id = aws_vpc.location.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.location.id
  }
}

resource "aws_route_table" "edge" {
  vpc_id = aws_vpc.location.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.location.id
  }
}

resource "aws_route_table_association" "nodes" {
  count          = length(local.zones)
  subnet_id      = aws_subnet.nodes[count.index].id
  route_table_id = aws_route_table.nodes.id
}

resource "aws_route_table_association" "edge" {
  count          = length(local.zones)
  subnet_id      = aws_subnet.edge[count.index].id
  route_table_id = aws_route_table.edge.id
}

# Snapshots do not pass the NAT gateway, which charges by the GiB.
resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.location.id
  service_name    = "com.amazonaws.${var.region}.s3"
  route_table_ids = [aws_route_table.nodes.id]
}

resource "aws_iam_role" "cluster" {
  name               = "${local.name}-cluster"
  assume_role_policy = data.aws_iam_policy_document.trust_service["eks"].json
}

resource "aws_iam_role" "nodes" {
  name               = "${local.name}-nodes"
  assume_role_policy = data.aws_iam_policy_document.trust_service["ec2"].json
}

data "aws_iam_policy_document" "trust_service" {
  for_each = toset(["eks", "ec2"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "${local.partition}:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"])
  role       = aws_iam_role.nodes.name
  policy_arn = "${local.partition}:iam::aws:policy/${each.key}"
}

resource "aws_eks_cluster" "location" {
  #checkov:skip=CKV_AWS_39:The control plane of another cloud launches work here; from where is said by api_cidrs.
  name                      = local.name
  version                   = var.cluster.version
  role_arn                  = aws_iam_role.cluster.arn
  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  access_config {
    authentication_mode = "API"
  }

  vpc_config {
    subnet_ids              = aws_subnet.nodes[*].id
    endpoint_private_access = true
    public_access_cidrs     = var.cluster.api_cidrs
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = aws_kms_key.location.arn
    }
  }

  depends_on = [aws_iam_role_policy_attachment.cluster]
}

resource "aws_eks_addon" "pod_identity" {
  cluster_name = aws_eks_cluster.location.name
  addon_name   = "eks-pod-identity-agent"
}

resource "aws_eks_node_group" "location" {
  cluster_name    = aws_eks_cluster.location.name
  node_group_name = "work"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = aws_subnet.nodes[*].id
  instance_types  = [var.cluster.machine]

  scaling_config {
    min_size     = var.cluster.nodes_min
    max_size     = var.cluster.nodes_max
    desired_size = var.cluster.nodes_min
  }

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size] # the cluster's autoscaler decides
  }

  depends_on = [aws_iam_role_policy_attachment.nodes]
}

resource "aws_ecr_repository" "image" {
  name                 = "mcml-assets"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.location.arn
  }
}

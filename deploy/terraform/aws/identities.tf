# One role per direction: write is the platform as this location, read is who copies from or audits it, serve is its model
# servers. mcml_assets/topologies/production.yaml says why each action is needed. None may change the bucket itself.

locals {
  pods = "pods.eks.amazonaws.com"
  # Who may act as write and read: the platform from elsewhere, or pods of this cluster.
  from_elsewhere = var.platform_identity != ""
}

data "aws_iam_policy_document" "trust_platform" {
  statement {
    actions = local.from_elsewhere ? ["sts:AssumeRole"] : ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = local.from_elsewhere ? "AWS" : "Service"
      identifiers = [local.from_elsewhere ? var.platform_identity : local.pods]
    }
    dynamic "condition" {
      for_each = local.from_elsewhere && nonsensitive(var.trust != "") ? [1] : []
      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [var.trust]
      }
    }
  }
}

data "aws_iam_policy_document" "trust_pods" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = [local.pods]
    }
  }
}

resource "aws_iam_role" "write" {
  name               = "${local.name}-write"
  assume_role_policy = data.aws_iam_policy_document.trust_platform.json
}

resource "aws_iam_role_policy" "write" {
  name   = "bucket"
  role   = aws_iam_role.write.id
  policy = data.aws_iam_policy_document.write.json
}

data "aws_iam_policy_document" "write" {
  statement {
    actions = [
      "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation",
      "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration", "s3:GetBucketPublicAccessBlock",
    ]
    resources = [aws_s3_bucket.location.arn]
  }
  statement {
    actions = [
      "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload",
      "s3:ListMultipartUploadParts",
    ]
    resources = ["${aws_s3_bucket.location.arn}/*"]
  }
  # Of nothing else, so that stolen credentials cannot destroy what versioning keeps.
  statement {
    actions   = ["s3:DeleteObjectVersion"]
    resources = ["${aws_s3_bucket.location.arn}/mcml-doctor-*"]
  }
  statement {
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.location.arn]
  }
  dynamic "statement" {
    for_each = length(var.copies_from) > 0 ? [1] : []
    content {
      actions   = ["s3:GetObject"]
      resources = [for bucket in var.copies_from : "${local.partition}:s3:::${bucket}/*"]
    }
  }
}

resource "aws_iam_role" "read" {
  name               = "${local.name}-read"
  assume_role_policy = data.aws_iam_policy_document.trust_platform.json
}

resource "aws_iam_role_policy" "read" {
  name   = "bucket"
  role   = aws_iam_role.read.id
  policy = data.aws_iam_policy_document.read.json
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.location.arn]
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.location.arn}/*"]
  }
  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.location.arn]
  }
}

resource "aws_iam_role" "serve" {
  count              = var.endpoints == null ? 0 : 1
  name               = "${local.name}-serve"
  assume_role_policy = data.aws_iam_policy_document.trust_pods.json
}

resource "aws_iam_role_policy" "serve" {
  count  = var.endpoints == null ? 0 : 1
  name   = "packages"
  role   = aws_iam_role.serve[0].id
  policy = data.aws_iam_policy_document.serve.json
}

data "aws_iam_policy_document" "serve" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.location.arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["endpoints/*"]
    }
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.location.arn}/endpoints/*"]
  }
  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.location.arn]
  }
}

resource "aws_eks_pod_identity_association" "serve" {
  count           = var.endpoints == null ? 0 : 1
  cluster_name    = aws_eks_cluster.location.name
  namespace       = var.endpoints.namespace
  service_account = var.endpoints.service_account
  role_arn        = aws_iam_role.serve[0].arn
}

# The control plane keeps what runs print, and acts as the locations of the topology: by assuming roles, nothing more.
resource "aws_iam_role" "control_plane" {
  count              = var.control_plane == null ? 0 : 1
  name               = "${local.name}-control-plane"
  assume_role_policy = data.aws_iam_policy_document.trust_pods.json
}

resource "aws_iam_role_policy" "control_plane" {
  count  = var.control_plane == null ? 0 : 1
  name   = "control-plane"
  role   = aws_iam_role.control_plane[0].id
  policy = data.aws_iam_policy_document.control_plane.json
}

data "aws_iam_policy_document" "control_plane" {
  statement {
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = ["${aws_s3_bucket.logs.arn}/compute-logs/*"]
  }
  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.logs.arn]
  }
  statement {
    actions   = ["sts:AssumeRole"]
    resources = ["${local.partition}:iam::${var.scope}:role/mcml-*-write"]
  }
}

resource "aws_eks_pod_identity_association" "control_plane" {
  for_each        = var.control_plane == null ? toset([]) : toset(["control-plane", "runs"])
  cluster_name    = aws_eks_cluster.location.name
  namespace       = var.control_plane.namespace
  service_account = "${var.control_plane.release}-${each.key}"
  role_arn        = aws_iam_role.control_plane[0].arn
}

# terraform test: no account is asked; what AWS would fill in is made up by the mock.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-2a", "eu-west-2b", "eu-west-2c"] }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-2:000000000000:key/00000000-0000-0000-0000-000000000000" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::000000000000:role/mock" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
}

variables {
  location     = "aws/eu-west-2"
  region       = "eu-west-2"
  jurisdiction = "UK"
  scope        = "000000000000"
  bucket       = "example-mcml-aws-eu-west-2"
  cluster = {
    version   = "1.31"
    machine   = "m6i.large"
    nodes_min = 2
    nodes_max = 6
    api_cidrs = ["203.0.113.0/24"]
  }
}

run "the_bucket_is_protected" {
  command = apply

  assert {
    condition     = aws_s3_bucket_versioning.location.versioning_configuration[0].status == "Enabled"
    error_message = "replaced pointers could not be read back"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.location.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.location.arn
    error_message = "the bucket is not encrypted with its own key"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.location.block_public_acls, aws_s3_bucket_public_access_block.location.block_public_policy,
      aws_s3_bucket_public_access_block.location.ignore_public_acls, aws_s3_bucket_public_access_block.location.restrict_public_buckets,
    ])
    error_message = "the bucket is not closed to the public"
  }
  assert {
    condition     = aws_s3_bucket_logging.location.target_bucket == aws_s3_bucket.logs.id
    error_message = "who read the bucket is not on record"
  }
  assert {
    condition     = length(aws_iam_role.serve) == 0 && length(aws_iam_role.control_plane) == 0 && output.health_check == null
    error_message = "something was made that nobody asked for"
  }
}

run "what_runs_here_has_its_identity" {
  command = apply

  variables {
    endpoints     = { namespace = "mcml-eu-west-2", service_account = "mcml-server" }
    control_plane = { namespace = "mcml", release = "mcml" }
    dns           = { zone = "example.com", edge = "edge-aws.uk.example.com", target = "lb.example.net" }
  }

  assert {
    condition     = aws_eks_pod_identity_association.serve[0].service_account == "mcml-server"
    error_message = "the model servers have no identity"
  }
  assert {
    condition     = toset([for one in aws_eks_pod_identity_association.control_plane : one.service_account]) == toset(["mcml-control-plane", "mcml-runs"])
    error_message = "the chart's service accounts have no identity"
  }
  assert {
    condition     = aws_route53_health_check.edge[0].fqdn == "edge-aws.uk.example.com"
    error_message = "the edge is not checked"
  }
}

run "an_api_open_to_everybody_is_refused" {
  command = plan

  variables {
    cluster = { version = "1.31", machine = "m6i.large", nodes_min = 2, nodes_max = 6, api_cidrs = ["0.0.0.0/0"] }
  }

  expect_failures = [var.cluster]
}

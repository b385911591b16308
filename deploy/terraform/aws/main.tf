# One location on AWS: a bucket that only its own roles enter, a cluster, a registry, and a health check of its edge.
#
#   mcml topology export --location aws/eu-west-2 > eu-west-2.tfvars.json
#   terraform init && terraform workspace new eu-west-2 && terraform apply -var-file eu-west-2.tfvars.json -var-file mine.tfvars

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 6"
    }
  }
}

provider "aws" {
  region = var.region
  # Nothing is made in another account by a mistaken profile.
  allowed_account_ids = [var.scope]

  default_tags {
    tags = {
      "mcml:location"     = var.location
      "mcml:jurisdiction" = var.jurisdiction
    }
  }
}

locals {
  name      = "mcml-${var.region}"
  partition = "arn:aws"
  account   = "${local.partition}:iam::${var.scope}:root"
}

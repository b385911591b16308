# One location on Google Cloud, as deploy/terraform/aws is one on AWS: the same inputs, the same outputs. Unverified: written
# from the provider's documentation, formatted, parsed and scanned; its provider could not be had where it was written.

terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6, < 7"
    }
  }
}

provider "google" {
  project = var.scope
  region  = var.region

  default_labels = {
    mcml-location     = replace(var.location, "/", "_")
    mcml-jurisdiction = lower(var.jurisdiction)
  }
}

locals {
  name = "mcml-${var.region}"
  # Who may what; serve and control-plane only where they run.
  accounts = toset(concat(
    ["write", "read", "nodes"],
    var.endpoints == null ? [] : ["serve"],
    var.control_plane == null ? [] : ["control-plane"],
  ))
  pool = "${var.scope}.svc.id.goog"
}

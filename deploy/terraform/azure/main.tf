# One location on Azure, as deploy/terraform/aws is one on AWS: the same inputs, the same outputs. Unverified: written from the
# provider's documentation, formatted, parsed and scanned; its provider could not be had where it was written.

terraform {
  required_version = ">= 1.9"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.20, < 5"
    }
  }
}

provider "azurerm" {
  subscription_id     = var.scope
  storage_use_azuread = true # shared keys are off

  features {
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

data "azurerm_client_config" "current" {}

locals {
  name = "mcml-${var.region}"
  # Who may what; serve and control-plane only where they run.
  accounts = toset(concat(
    ["write", "read", "storage", "cluster"],
    var.endpoints == null ? [] : ["serve"],
    var.control_plane == null ? [] : ["control-plane"],
  ))
  tags = { "mcml-location" = var.location, "mcml-jurisdiction" = var.jurisdiction }
}

resource "azurerm_resource_group" "location" {
  name     = local.name
  location = var.region
  tags     = local.tags
}

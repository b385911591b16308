# The container in a storage account of its own: versioned, encrypted with a key of its own, closed to the public and to shared
# keys, its readers on record.

resource "azurerm_key_vault" "location" {
  #checkov:skip=CKV2_AZURE_32:Reached by the storage service and by Terraform; the data is in the storage account.
  name                          = substr("mcml-${replace(var.region, "-", "")}-${substr(sha256(var.scope), 0, 6)}", 0, 24)
  location                      = azurerm_resource_group.location.location
  resource_group_name           = azurerm_resource_group.location.name
  tenant_id                     = data.azurerm_client_config.current.tenant_id
  sku_name                      = "premium"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = true

  network_acls {
    default_action = "Deny"
    bypass         = "AzureServices"
    ip_rules       = var.cluster.api_cidrs
  }
}

resource "azurerm_role_assignment" "key_administrator" {
  scope                = azurerm_key_vault.location.id
  role_definition_name = "Key Vault Crypto Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_role_assignment" "storage_key" {
  scope                = azurerm_key_vault.location.id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = azurerm_user_assigned_identity.location["storage"].principal_id
}

resource "azurerm_key_vault_key" "location" {
  #checkov:skip=CKV_AZURE_40:It is rotated, and must not end while anything is encrypted with it.
  name         = "location"
  key_vault_id = azurerm_key_vault.location.id
  key_type     = "RSA-HSM"
  key_size     = 3072
  key_opts     = ["wrapKey", "unwrapKey"]

  rotation_policy {
    automatic {
      time_after_creation = "P90D"
    }
  }

  depends_on = [azurerm_role_assignment.key_administrator]
}

resource "azurerm_storage_account" "location" {
  #checkov:skip=CKV_AZURE_43:Its name is the topology's, which is held to that form when it is read.
  #checkov:skip=CKV_AZURE_59:Other clouds' copies enter from outside; who may is said by identities, never by keys.
  #checkov:skip=CKV_AZURE_206:The platform replicates by itself, to another cloud, and proves each copy.
  #checkov:skip=CKV_AZURE_33:There is no queue.
  #checkov:skip=CKV2_AZURE_33:The reason is that of CKV_AZURE_59.
  name                            = var.account
  resource_group_name             = azurerm_resource_group.location.name
  location                        = azurerm_resource_group.location.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  local_user_enabled              = false
  # copies_from of another location finds the account by its container.
  tags = merge(local.tags, { "mcml-bucket" = var.bucket })

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.location["storage"].id]
  }

  customer_managed_key {
    key_vault_key_id          = azurerm_key_vault_key.location.versionless_id
    user_assigned_identity_id = azurerm_user_assigned_identity.location["storage"].id
  }

  blob_properties {
    versioning_enabled = true
    delete_retention_policy {
      days = var.old_versions_days
    }
    container_delete_retention_policy {
      days = var.old_versions_days
    }
  }

  depends_on = [azurerm_role_assignment.storage_key]
}

resource "azurerm_storage_container" "location" {
  #checkov:skip=CKV2_AZURE_21:Reads are on record by the account's diagnostic setting below.
  name                  = var.bucket
  storage_account_id    = azurerm_storage_account.location.id
  container_access_type = "private"
}

# Compute logs of the control plane, where it is in this cluster; access logs go to the workspace.
resource "azurerm_storage_container" "logs" {
  #checkov:skip=CKV2_AZURE_21:Reads are on record by the account's diagnostic setting below.
  name                  = "${var.bucket}-logs"
  storage_account_id    = azurerm_storage_account.location.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "location" {
  storage_account_id = azurerm_storage_account.location.id

  rule {
    name    = "old-versions"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = var.old_versions_days
      }
    }
  }

  rule {
    name    = "logs"
    enabled = true
    filters {
      blob_types   = ["blockBlob", "appendBlob"]
      prefix_match = ["${var.bucket}-logs/"]
    }
    actions {
      base_blob {
        delete_after_days_since_modification_greater_than = var.log_days
      }
    }
  }
}

resource "azurerm_log_analytics_workspace" "location" {
  name                = local.name
  location            = azurerm_resource_group.location.location
  resource_group_name = azurerm_resource_group.location.name
  retention_in_days   = var.log_days
}

resource "azurerm_monitor_diagnostic_setting" "access" {
  name                       = "access"
  target_resource_id         = "${azurerm_storage_account.location.id}/blobServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.location.id

  dynamic "enabled_log" {
    for_each = toset(["StorageRead", "StorageWrite", "StorageDelete"])
    content {
      category = enabled_log.key
    }
  }
}

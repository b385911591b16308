# One identity per direction, with a role on the container and nothing above it: write is the platform as this location, read
# is who copies from or audits it, serve is its model servers.

resource "azurerm_user_assigned_identity" "location" {
  for_each            = local.accounts
  name                = "${local.name}-${each.key}"
  location            = azurerm_resource_group.location.location
  resource_group_name = azurerm_resource_group.location.name
}

locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
}

resource "azurerm_role_definition" "write" {
  name  = "${local.name}-write"
  scope = azurerm_resource_group.location.id

  permissions {
    actions      = ["Microsoft.Storage/storageAccounts/blobServices/containers/read"]
    data_actions = ["${local.blobs}/read", "${local.blobs}/write", "${local.blobs}/add/action", "${local.blobs}/delete"]
  }
}

resource "azurerm_role_definition" "read" {
  name  = "${local.name}-read"
  scope = azurerm_resource_group.location.id

  permissions {
    data_actions = ["${local.blobs}/read"]
  }
}

resource "azurerm_role_definition" "doctor" {
  name  = "${local.name}-doctor"
  scope = azurerm_resource_group.location.id

  permissions {
    data_actions = ["${local.blobs}/deleteBlobVersion/action"]
  }
}

resource "azurerm_role_assignment" "write" {
  scope              = azurerm_storage_container.location.id
  role_definition_id = azurerm_role_definition.write.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.location["write"].principal_id
}

# Of nothing else, so that stolen credentials cannot destroy what versioning keeps.
resource "azurerm_role_assignment" "doctor" {
  scope              = azurerm_storage_container.location.id
  role_definition_id = azurerm_role_definition.doctor.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.location["write"].principal_id
  condition_version  = "2.0"
  condition          = "((@Resource[${local.blobs}:path] StringLike 'mcml-doctor-*'))"
}

resource "azurerm_role_assignment" "read" {
  scope              = azurerm_storage_container.location.id
  role_definition_id = azurerm_role_definition.read.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.location["read"].principal_id
}

data "azurerm_resources" "copied_from" {
  for_each = toset(var.copies_from)
  type     = "Microsoft.Storage/storageAccounts"

  required_tags = { "mcml-bucket" = each.key }
}

resource "azurerm_role_assignment" "copies_from" {
  for_each             = toset(var.copies_from)
  scope                = "${data.azurerm_resources.copied_from[each.key].resources[0].id}/blobServices/default/containers/${each.key}"
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.location["write"].principal_id
}

resource "azurerm_role_assignment" "serve" {
  count              = var.endpoints == null ? 0 : 1
  scope              = azurerm_storage_container.location.id
  role_definition_id = azurerm_role_definition.read.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.location["serve"].principal_id
  condition_version  = "2.0"
  condition          = "((!(ActionMatches{'${local.blobs}/read'})) OR (@Resource[${local.blobs}:path] StringLike 'endpoints/*'))"
}

resource "azurerm_role_assignment" "compute_logs" {
  count              = var.control_plane == null ? 0 : 1
  scope              = azurerm_storage_container.logs.id
  role_definition_id = azurerm_role_definition.write.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.location["control-plane"].principal_id
}

# Who may take the write identity: pods of this cluster (the chart's service accounts), or the federated subject from elsewhere.
resource "azurerm_federated_identity_credential" "pods" {
  for_each = merge(
    var.endpoints == null ? {} : { serve = ["serve", "${var.endpoints.namespace}:${var.endpoints.service_account}"] },
    var.control_plane == null ? {} : {
      control-plane = ["control-plane", "${var.control_plane.namespace}:${var.control_plane.release}-control-plane"]
      runs          = ["control-plane", "${var.control_plane.namespace}:${var.control_plane.release}-runs"]
      write         = ["write", "${var.control_plane.namespace}:${var.control_plane.release}-runs"]
      write-daemon  = ["write", "${var.control_plane.namespace}:${var.control_plane.release}-control-plane"]
    },
  )
  name                = each.key
  resource_group_name = azurerm_resource_group.location.name
  parent_id           = azurerm_user_assigned_identity.location[each.value[0]].id
  audience            = ["api://AzureADTokenExchange"]
  issuer              = azurerm_kubernetes_cluster.location.oidc_issuer_url
  subject             = "system:serviceaccount:${each.value[1]}"
}

# platform_identity: issuer and subject of a cluster in another cloud, with a blank between them.
resource "azurerm_federated_identity_credential" "platform" {
  count               = var.platform_identity == "" ? 0 : 1
  name                = "platform"
  resource_group_name = azurerm_resource_group.location.name
  parent_id           = azurerm_user_assigned_identity.location["write"].id
  audience            = ["api://AzureADTokenExchange"]
  issuer              = split(" ", var.platform_identity)[0]
  subject             = split(" ", var.platform_identity)[1]
}

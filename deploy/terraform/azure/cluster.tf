# The cluster, its network, and the registry that its nodes pull from.

resource "azurerm_virtual_network" "location" {
  name                = local.name
  location            = azurerm_resource_group.location.location
  resource_group_name = azurerm_resource_group.location.name
  address_space       = ["10.0.0.0/16"]
}

resource "azurerm_subnet" "nodes" {
  #checkov:skip=CKV2_AZURE_31:The cluster makes the security group of its nodes itself.
  name                 = "nodes"
  resource_group_name  = azurerm_resource_group.location.name
  virtual_network_name = azurerm_virtual_network.location.name
  address_prefixes     = ["10.0.0.0/20"]
}

resource "azurerm_kubernetes_cluster" "location" {
  #checkov:skip=CKV_AZURE_115:The control plane of another cloud launches work here; from where is said by api_cidrs.
  #checkov:skip=CKV_AZURE_117:Disks hold no data of a location; they are encrypted under Azure's keys, and on the host.
  #checkov:skip=CKV_AZURE_232:One pool does all work.
  name                              = local.name
  location                          = azurerm_resource_group.location.location
  resource_group_name               = azurerm_resource_group.location.name
  dns_prefix                        = local.name
  kubernetes_version                = var.cluster.version
  sku_tier                          = "Standard"
  oidc_issuer_enabled               = true
  workload_identity_enabled         = true
  local_account_disabled            = true
  role_based_access_control_enabled = true
  azure_policy_enabled              = true
  automatic_upgrade_channel         = "patch"
  tags                              = local.tags

  azure_active_directory_role_based_access_control {
    azure_rbac_enabled = true
    tenant_id          = data.azurerm_client_config.current.tenant_id
  }

  api_server_access_profile {
    authorized_ip_ranges = var.cluster.api_cidrs
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.location["cluster"].id]
  }

  default_node_pool {
    name                        = "work"
    vm_size                     = var.cluster.machine
    vnet_subnet_id              = azurerm_subnet.nodes.id
    auto_scaling_enabled        = true
    host_encryption_enabled     = true
    min_count                   = var.cluster.nodes_min
    max_count                   = var.cluster.nodes_max
    max_pods                    = 50
    os_disk_type                = "Ephemeral"
    temporary_name_for_rotation = "rotating"
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_policy      = "cilium" # network policies are obeyed
    network_data_plane  = "cilium"
  }

  oms_agent {
    log_analytics_workspace_id      = azurerm_log_analytics_workspace.location.id
    msi_auth_for_monitoring_enabled = true
  }

  key_vault_secrets_provider {
    secret_rotation_enabled = true
  }

  depends_on = [azurerm_role_assignment.network]
}

resource "azurerm_role_assignment" "network" {
  scope                = azurerm_virtual_network.location.id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.location["cluster"].principal_id
}

resource "azurerm_container_registry" "image" {
  #checkov:skip=CKV_AZURE_139:Nodes of other clouds pull from their own registries; this one is pushed to from the pipeline.
  #checkov:skip=CKV_AZURE_165:One registry per location.
  #checkov:skip=CKV_AZURE_233:Another cloud is the spare, not another zone.
  #checkov:skip=CKV_AZURE_166:Images are scanned before they are pushed.
  #checkov:skip=CKV_AZURE_164:The pipeline pushes by digest.
  #checkov:skip=CKV_AZURE_167:Old images are what a rollback needs.
  #checkov:skip=CKV_AZURE_237:The same endpoint serves data.
  name                   = replace(local.name, "-", "")
  location               = azurerm_resource_group.location.location
  resource_group_name    = azurerm_resource_group.location.name
  sku                    = "Premium"
  admin_enabled          = false
  anonymous_pull_enabled = false
}

resource "azurerm_role_assignment" "pull" {
  scope                = azurerm_container_registry.image.id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_kubernetes_cluster.location.kubelet_identity[0].object_id
}

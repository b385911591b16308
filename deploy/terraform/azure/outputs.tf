# The same outputs in every cloud: what the topology and the chart's values are filled in with.

output "bucket" {
  description = "The location's bucket."
  value       = azurerm_storage_container.location.name
}

output "identities" {
  description = "Who may what: write and read the bucket, serve from it, run the control plane, and upload its compute logs."
  value = {
    write         = azurerm_user_assigned_identity.location["write"].client_id
    read          = azurerm_user_assigned_identity.location["read"].client_id
    serve         = var.endpoints == null ? null : azurerm_user_assigned_identity.location["serve"].client_id
    control_plane = var.control_plane == null ? null : azurerm_user_assigned_identity.location["control-plane"].client_id
  }
}

output "cluster" {
  description = "The cluster's name, for a kubeconfig context."
  value       = azurerm_kubernetes_cluster.location.name
}

output "registry" {
  description = "Where the image is pushed to, and pulled from."
  value       = "${azurerm_container_registry.image.login_server}/mcml-assets"
}

output "log_bucket" {
  description = "Bucket of compute logs."
  value       = azurerm_storage_container.logs.name
}

output "health_check" {
  description = "The provider's health check of the edge; null until it has an address."
  value       = one(azurerm_traffic_manager_external_endpoint.edge[*].id)
}

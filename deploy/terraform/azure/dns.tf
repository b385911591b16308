# The edge's own name, and the provider's health check of it. Which edge callers are sent to is traffic_route's to publish.

locals {
  # null cannot be asked for its target.
  edge_has_address = try(var.dns.target, "") != ""
}

data "azurerm_dns_zone" "edge" {
  count = var.dns == null ? 0 : 1
  name  = var.dns.zone
}

resource "azurerm_dns_a_record" "edge" {
  count               = local.edge_has_address ? 1 : 0
  name                = trimsuffix(var.dns.edge, ".${var.dns.zone}")
  zone_name           = data.azurerm_dns_zone.edge[0].name
  resource_group_name = data.azurerm_dns_zone.edge[0].resource_group_name
  ttl                 = 60
  records             = [var.dns.target]
}

# Azure checks endpoints of Traffic Manager profiles only; this profile has the one edge. That it answers at all: 401 to a
# caller without a token is an answer, so the connection is what is checked.
resource "azurerm_traffic_manager_profile" "edge" {
  count                  = local.edge_has_address ? 1 : 0
  name                   = "${local.name}-edge"
  resource_group_name    = azurerm_resource_group.location.name
  traffic_routing_method = "Priority"

  dns_config {
    relative_name = "${local.name}-${substr(sha256(var.scope), 0, 6)}"
    ttl           = 60
  }

  monitor_config {
    protocol                     = "TCP"
    port                         = 443
    interval_in_seconds          = 10
    timeout_in_seconds           = 5
    tolerated_number_of_failures = 3
  }
}

resource "azurerm_traffic_manager_external_endpoint" "edge" {
  count      = local.edge_has_address ? 1 : 0
  name       = "edge"
  profile_id = azurerm_traffic_manager_profile.edge[0].id
  target     = var.dns.edge
  priority   = 1
}

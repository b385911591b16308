# The edge's own name, and the provider's health check of it. Which edge callers are sent to is traffic_route's to publish.

data "google_dns_managed_zone" "edge" {
  count = var.dns == null ? 0 : 1
  name  = replace(var.dns.zone, ".", "-")
}

locals {
  # null cannot be asked for its target.
  edge_has_address = try(var.dns.target, "") != ""
}

resource "google_dns_record_set" "edge" {
  count        = local.edge_has_address ? 1 : 0
  managed_zone = data.google_dns_managed_zone.edge[0].name
  name         = "${var.dns.edge}."
  type         = can(regex("^[0-9.]+$", var.dns.target)) ? "A" : "CNAME"
  ttl          = 60
  rrdatas      = [can(regex("^[0-9.]+$", var.dns.target)) ? var.dns.target : "${var.dns.target}."]
}

# That the edge answers at all: 401 to a caller without a token is an answer, so the connection is what is checked.
resource "google_compute_health_check" "edge" {
  count               = local.edge_has_address ? 1 : 0
  name                = "${local.name}-edge"
  check_interval_sec  = 10
  timeout_sec         = 5
  unhealthy_threshold = 3

  tcp_health_check {
    port = 443
  }
}

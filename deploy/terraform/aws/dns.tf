# The edge's own name, and the provider's health check of it. Which edge callers are sent to is traffic_route's to publish.

data "aws_route53_zone" "edge" {
  count = var.dns == null ? 0 : 1
  name  = var.dns.zone
}

locals {
  # null cannot be asked for its target.
  edge_has_address = try(var.dns.target, "") != ""
}

resource "aws_route53_record" "edge" {
  count   = local.edge_has_address ? 1 : 0
  zone_id = data.aws_route53_zone.edge[0].zone_id
  name    = var.dns.edge
  type    = "CNAME"
  ttl     = 60
  records = [var.dns.target]
}

# That the edge answers at all: 401 to a caller without a token is an answer, so the connection is what is checked.
resource "aws_route53_health_check" "edge" {
  count             = local.edge_has_address ? 1 : 0
  fqdn              = var.dns.edge
  port              = 443
  type              = "TCP"
  request_interval  = 10
  failure_threshold = 3
}

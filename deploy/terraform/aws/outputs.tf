# The same outputs in every cloud: what the topology and the chart's values are filled in with.

output "bucket" {
  description = "The location's bucket."
  value       = aws_s3_bucket.location.bucket
}

output "identities" {
  description = "Who may what: write and read the bucket, serve from it, run the control plane, and upload its compute logs."
  value = {
    write         = aws_iam_role.write.arn
    read          = aws_iam_role.read.arn
    serve         = one(aws_iam_role.serve[*].arn)
    control_plane = one(aws_iam_role.control_plane[*].arn)
  }
}

output "cluster" {
  description = "The cluster's name, for a kubeconfig context."
  value       = aws_eks_cluster.location.name
}

output "registry" {
  description = "Where the image is pushed to, and pulled from."
  value       = aws_ecr_repository.image.repository_url
}

output "log_bucket" {
  description = "Bucket of compute logs."
  value       = aws_s3_bucket.logs.bucket
}

output "health_check" {
  description = "The provider's health check of the edge; null until it has an address."
  value       = one(aws_route53_health_check.edge[*].id)
}

# The bucket: versioned, encrypted with a key of its own, closed to the public and to anything but TLS, its readers on record.

resource "aws_kms_key" "location" {
  description             = "Everything that is stored of ${var.location}."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "location" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.location.key_id
}

# The account's administrators manage the key; who may use it is said by the roles' own policies.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:A key's own policy must name its administrator, and "*" means this key alone.
  #checkov:skip=CKV_AWS_111:As above, of the same statement.
  #checkov:skip=CKV_AWS_356:As above, of the same statement.
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [local.account]
    }
  }
  # CloudWatch encrypts the cluster's audit logs with it.
  statement {
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["${local.partition}:logs:${var.region}:${var.scope}:*"]
    }
  }
}

resource "aws_s3_bucket" "location" {
  #checkov:skip=CKV_AWS_144:The platform replicates by itself, to another cloud, and proves each copy.
  #checkov:skip=CKV2_AWS_62:Nothing listens to events of the bucket; Dagster polls.
  bucket = var.bucket
}

resource "aws_s3_bucket_versioning" "location" {
  bucket = aws_s3_bucket.location.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "location" {
  bucket = aws_s3_bucket.location.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.location.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "location" {
  bucket                  = aws_s3_bucket.location.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "location" {
  bucket = aws_s3_bucket.location.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "location" {
  bucket     = aws_s3_bucket.location.id
  depends_on = [aws_s3_bucket_versioning.location]

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.old_versions_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_logging" "location" {
  bucket        = aws_s3_bucket.location.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "access/${var.bucket}/"
  # S3 refuses a target that its log service may not write to yet.
  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_s3_bucket_policy" "location" {
  bucket = aws_s3_bucket.location.id
  policy = data.aws_iam_policy_document.bucket.json
  # AWS applies one change of a bucket's access at a time.
  depends_on = [aws_s3_bucket_public_access_block.location]
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.location.arn, "${aws_s3_bucket.location.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# Access logs of the bucket, and compute logs of the control plane where it is in this cluster.
resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_144:Logs stay where they were made.
  #checkov:skip=CKV_AWS_145:S3 delivers access logs to buckets under its own keys only.
  #checkov:skip=CKV_AWS_18:A log of its own log would grow for ever.
  #checkov:skip=CKV2_AWS_62:Nothing listens to events of the bucket.
  bucket = "${var.bucket}-logs"
}

resource "aws_s3_bucket_versioning" "logs" {
  bucket = aws_s3_bucket.logs.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket     = aws_s3_bucket.logs.id
  depends_on = [aws_s3_bucket_versioning.logs]

  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.log_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  policy     = data.aws_iam_policy_document.logs.json
  depends_on = [aws_s3_bucket_public_access_block.logs]
}

data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "AccessLogs"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/access/${var.bucket}/*"]
    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.scope]
    }
  }
}

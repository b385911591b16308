"""The endpoint platforms under one conformance suite, and the protocol servers that they are tested against."""

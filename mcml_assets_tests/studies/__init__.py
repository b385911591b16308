"""Studies: what the platform's judgements do on real data, each with a page of the docs that it generates."""

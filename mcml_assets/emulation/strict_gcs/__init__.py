"""Google Cloud Storage's JSON API on loopback, with stored generations and every precondition as Google documents it.

It is a server of its own and not a front before another emulator: what a precondition compares is the generation that is
stored, and comparing and storing must be one step, so a front would have to keep all of it twice.
"""

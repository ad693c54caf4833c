"""Making a package for AWS Lambda of functions: planned, resolved, cut, compiled, proven, zipped, and accounted for."""

"""A stand-in for the SuperLink, as the benchmark and the tests have it: link.py knows and answers, and
grpc_link.py and http_link.py carry its calls. What it says that no SuperLink should, tests/kit adds."""

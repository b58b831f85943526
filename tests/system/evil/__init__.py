"""A SuperLink in the hands of the test: it speaks what Flower's speak (dialects A, B and C over
gRPC, C's messages over HTTP), and lies, stalls and breaks off where a test says so."""

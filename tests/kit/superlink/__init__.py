"""What tests make of the stand-in SuperLink (scripts/federation/superlink): it lies, stalls and breaks off
where a test says so."""

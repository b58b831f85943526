"""Apps that learn with real frameworks; the test puts the judge's package beside this one."""

/*
 * version: what this library is. The number is that of the headers it was built with.
 */
#include <flwr/flwr.h>

int flwr_version(void)
{
	return FLWR_VERSION;
}

const char *flwr_version_text(void)
{
	return FLWR_RELEASE ", Flower 1.15-1.42";
}

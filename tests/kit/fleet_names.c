/*
 * fleet_names: what a fleet that a test plays says of itself. A source of the test's program, which
 * has the other functions of fleet.h.
 */
#include "supernode/fleet/fleet.h"

const char *fleet_superlink(const struct fleet *fleet)
{
	(void)fleet;
	return "127.0.0.1:9092";
}

const char *fleet_speaks(const struct fleet *fleet)
{
	(void)fleet;
	return "Flower-1.15";
}

const struct transport_kind *fleet_transport(const struct fleet *fleet)
{
	(void)fleet;
	return NULL;
}

#include "kit/wire_types.h"

#include "adapter.pb-c.h"
#include "bidi.pb-c.h"
#include "clientappio.pb-c.h"
#include "fleet.pb-c.h"
#include "health.pb-c.h"
#include "message.pb-c.h"
#include "objects.pb-c.h"
#include "records.pb-c.h"
#include "runtime.pb-c.h"

#include <string.h>

const ProtobufCMessageDescriptor *const wire_types[] = {
#include "wire_types.inc"
	NULL};

const ProtobufCMessageDescriptor *wire_type_find(const char *name)
{
	for (size_t i = 0; wire_types[i]; i++)
		if (strcmp(wire_types[i]->name, name) == 0)
			return wire_types[i];
	return NULL;
}

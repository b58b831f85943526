#include "common/message/health_codec.h"

#include "common/base/cleanup.h"
#include "common/wire/message.h"
#include "health.pb-c.h"

#include <assert.h>

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static_assert((int)HEALTH_SERVING == (int)STATUS(SERVING) &&
		      (int)HEALTH_NOT_SERVING == (int)STATUS(NOT_SERVING) &&
		      (int)HEALTH_UNKNOWN_NAME == (int)STATUS(SERVICE_UNKNOWN),
	"the numbers of proto/health.proto");

int health_decode_name(const struct slices *body, bool *known_out)
{
	auto_(wire_free) Grpc__Health__V1__HealthCheckRequest *message = NULL;
	int r = wire_decode(&grpc__health__v1__health_check_request__descriptor, body,
		2 * HEALTH_REQUEST_MAX_BYTES, &message);

	if (r == 0)
		*known_out = !*message->service;
	return r;
}

int health_encode_status(enum health_status status, struct slices *out)
{
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
	return wire_encode(&response, out);
}

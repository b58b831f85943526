/*
 * health_codec: requests and answers of gRPC's health service (grpc.health.v1.Health), for
 * servers. One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_HEALTH_CODEC_H
#define FLWR_MESSAGE_HEALTH_CODEC_H

#include "common/base/slice.h"

#include <stdbool.h>

#define HEALTH_SERVICE           "grpc.health.v1.Health"
#define HEALTH_REQUEST_MAX_BYTES 4096

/* As HealthCheckResponse has them. */
enum health_status { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_UNKNOWN_NAME = 3 };

/* Does a HealthCheckRequest ask for the one name that our programs have, "", all of them? Flower's
 * servers register no other. 0; -EBADMSG; -ENOMEM. */
int health_decode_name(const struct slices *body, bool *known_out);

/* HealthCheckResponse, appended to *out: 0 or -ENOMEM. */
int health_encode_status(enum health_status status, struct slices *out);

#endif

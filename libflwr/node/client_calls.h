/*
 * client_calls: a flwr_client as a ClientApp: the legacy records of a message ("fitins.parameters")
 * become a struct flwr_ins, its struct flwr_res the records of the reply. On the thread that runs
 * the node.
 */
#ifndef FLWR_NODE_CLIENT_CALLS_H
#define FLWR_NODE_CLIENT_CALLS_H

#include "common/records/records.h"
#include "libflwr/node/settings.h"

/* Answer call with the settings' client. 0; negative with flwr_error(). */
int client_call(const struct settings *settings, struct flwr_call *call);

/* Give the arrays of a reply the form that legacy parameters have: keys "0", "1", ..., no dtype, no
 * shape; one empty array where there are none. 0 or -ENOMEM. */
int client_shape_reply(struct record_dict *reply);

#endif

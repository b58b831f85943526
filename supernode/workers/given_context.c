/*
 * given_context: the codecs' rules, without building anything.
 */
#include "supernode/workers/given_context.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"

#include <errno.h>

int given_context_check(const struct slices *bytes, enum message_form form)
{
	auto_(slices_done) struct slices state = {0};
	int r = context_split(bytes, &state);

	if (r == 0)
		r = form == MESSAGE_OBJECTS ? items_check(&state, NULL) : maps_check(&state, NULL);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

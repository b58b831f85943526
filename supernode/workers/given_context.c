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
	auto_(context_outline_done) struct context_outline outline = {0};
	int r = context_outline(bytes, &outline);

	if (r == 0)
		r = (form == MESSAGE_OBJECTS ? items_check : maps_check)(&outline.state, NULL);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

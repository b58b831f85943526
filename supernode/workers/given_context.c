/*
 * given_context: the codecs' rules, without building anything.
 */
#include "supernode/workers/given_context.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"

#include <errno.h>

int given_context_check(struct given_context *context, enum message_form form)
{
	int r = given_context_look(context);

	if (r == 0)
		r = (form == MESSAGE_OBJECTS ? items_check : maps_check)(
			&context->outline.state, NULL);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

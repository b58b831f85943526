#include "kit/session.h"

#include "libflwr/node/mailbox.h"

static void on_ready(void *arg, bool ready, uint64_t node_id)
{
	struct kit_session *self = arg;

	self->ready = ready;
	self->node_id = node_id;
}

static void on_ended(void *arg, int result, const char *sentence)
{
	struct kit_session *self = arg;

	assert_false(self->ended);
	self->ended = true;
	self->result = result;
	reason_set(&self->sentence, "%s", sentence);
}

static void on_gone(void *arg)
{
	struct kit_session *self = arg;

	assert_false(self->gone);
	self->gone = true;
}

void kit_session_init(struct kit_session *self, const char *address)
{
	struct value partition = {.kind = VALUE_SINT, .i = 3};

	memset(self, 0, sizeof *self);
	kit_log_init(&self->log, "node", LOG_LEVEL_DEBUG);
	assert_int_equal(mailbox_init(&self->mailbox), 0);
	self->settings.address = strdup(address);
	self->settings.message_max_bytes = 1 << 20;
	assert_int_equal(value_map_set(&self->settings.node_config, "partition-id", &partition), 0);
}

int kit_session_open(struct kit_session *self, kit_session_new_fn *new, struct reason *why)
{
	const struct session_options options = {.settings = &self->settings,
		.engine = &self->engine,
		.log = self->log.log,
		.mailbox = &self->mailbox,
		.ready = on_ready,
		.ended = on_ended,
		.gone = on_gone,
		.arg = self};

	return new (&options, &self->session, why);
}

struct task *kit_session_take_task(struct kit_session *self)
{
	struct task_part *next;
	struct mail mail;

	mailbox_take(&self->mailbox, &mail);
	for (; mail.over; mail.over = next) {
		next = mail.over->next;
		task_part_free(mail.over);
	}
	return mail.task;
}

void kit_session_done(struct kit_session *self)
{
	assert_null(kit_session_take_task(self));
	assert_false(mailbox_wait_over(&self->mailbox, false));
	mailbox_done(&self->mailbox);
	kit_log_done(&self->log);
	settings_done(&self->settings);
}

#include "kit/log.h"

#include <sys/mman.h>
#include <sys/stat.h>

void kit_log_init(struct kit_log *log, const char *name, enum log_level level)
{
	*log = (struct kit_log){.fd = memfd_create("log", MFD_CLOEXEC)};
	assert_return_code(log->fd, errno);
	log->log = log_new(log->fd, name, level);
	assert_non_null(log->log);
}

void kit_log_done(struct kit_log *log)
{
	log_free(log->log);
	close(log->fd);
	free(log->text);
	*log = (struct kit_log){.fd = -1};
}

const char *kit_log_text(struct kit_log *log)
{
	struct stat st;

	assert_return_code(fstat(log->fd, &st), errno);
	if (!log->text || (size_t)st.st_size >= log->room) {
		log->room = 2 * (size_t)st.st_size + 1;
		free(log->text);
		log->text = malloc(log->room);
		assert_non_null(log->text);
	}
	assert_int_equal(pread(log->fd, log->text, (size_t)st.st_size, 0), st.st_size);
	log->text[st.st_size] = '\0';
	return log->text;
}

unsigned kit_log_count(struct kit_log *log, const char *text)
{
	unsigned n = 0;

	for (const char *at = strstr(kit_log_text(log), text); at; at = strstr(at + 1, text))
		n++;
	return n;
}

void kit_log_clear(struct kit_log *log)
{
	assert_return_code(ftruncate(log->fd, 0), errno);
	assert_return_code(lseek(log->fd, 0, SEEK_SET), errno);
}

void kit_log_expect(struct kit_log *log, const char *text)
{
	assert_string_equal(kit_log_text(log), text);
	kit_log_clear(log);
}

#include "fuzz.h"

#include "common/base/files.h"
#include "common/base/text.h"

#include <errno.h>
#include <stdatomic.h>

#define REPEATED_MAX   48   /* bytes of an input that is also looked at many times over */
#define REPEATED_BYTES 8192 /* as much of it */
#define REPEATED_EACH  8    /* one of so many inputs, since it takes time */

#if defined(__SANITIZE_ADDRESS__)
#define FUZZ_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_HOOKS 1
#endif
#endif

_Noreturn void fuzz_fail(const char *file, int line, const char *rule)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, rule);
	abort();
}

/* ---- memory ---- */

#ifdef FUZZ_HOOKS
/* Functions of the sanitizers' allocator; GCC comes without their headers. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

static bool heap_counts;
static _Atomic long heap_bytes, heap_peak; /* since heap_begin() */

static void on_malloc(const volatile void *memory, size_t len)
{
	long now = atomic_fetch_add(&heap_bytes, (long)len) + (long)len;
	long peak = atomic_load(&heap_peak);

	(void)memory;
	while (now > peak && !atomic_compare_exchange_weak(&heap_peak, &peak, now))
		;
}

static void on_free(const volatile void *memory)
{
	if (memory)
		atomic_fetch_sub(&heap_bytes, (long)__sanitizer_get_allocated_size(memory));
}

static void heap_begin(void)
{
	static bool hooked;

	if (!hooked)
		__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
	hooked = true;
	heap_bytes = heap_peak = 0;
	heap_counts = true;
}

/* Leave out what follows. */
static void heap_ignore(void)
{
	heap_counts = false;
}

/* Check how much memory len bytes of input have taken since heap_begin(). */
static void heap_end(size_t len)
{
	size_t allowed = fuzz_memory.kib * 1024 + fuzz_memory.per_byte * len;

	if (!heap_counts)
		return;
	heap_counts = false;
	if ((size_t)heap_peak > allowed)
		fprintf(stderr, "%zu bytes of input took %ld bytes of heap\n", len, heap_peak);
	CHECK((size_t)heap_peak <= allowed);
}
#else
static void heap_begin(void)
{
}

static void heap_ignore(void)
{
}

static void heap_end(size_t len)
{
	(void)len;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	heap_begin();
	fuzz(data, len);
	heap_end(len);
	return 0;
}

/* ---- inputs ---- */

struct slices fuzz_cut(const uint8_t *data, size_t len, size_t piece)
{
	struct slices list = {0};

	if (piece == 0)
		piece = len ? len : 1;
	for (size_t at = 0; at < len; at += piece)
		CHECK(slices_append_copy(&list, data + at, len - at < piece ? len - at : piece) ==
			0);
	return list;
}

bool fuzz_is_clean(const char *text, size_t len, const char *allowed)
{
	if (!utf8_valid(text, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < ' ' || text[i] == 0x7f) && !strchr(allowed, text[i]))
			return false;
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

void fuzz_check_map(const struct value_map *map)
{
	auto_(free_at_exit) const char **keys = calloc(map->n + 1, sizeof *keys);

	CHECK(keys);
	for (size_t i = 0; i < map->n; i++) {
		keys[i] = map->v[i].key;
		CHECK(utf8_valid(keys[i], strlen(keys[i])));
		CHECK(map->v[i].value.kind < VALUE_N);
	}
	qsort(keys, map->n, sizeof *keys, compare_keys);
	for (size_t i = 1; i < map->n; i++)
		CHECK(strcmp(keys[i - 1], keys[i]) != 0);
}

struct fuzz_file fuzz_file_open(const void *data, size_t len)
{
	struct fuzz_file file = {.fd = memfd_new("fuzz")};

	CHECK(file.fd >= 0);
	CHECK(fd_write_all(file.fd, data, len) == 0);
	CHECK(lseek(file.fd, 0, SEEK_SET) == 0);
	snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
	return file;
}

void fuzz_file_close(struct fuzz_file *file)
{
	close_fd(&file->fd);
}

int fuzz_next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* ---- codecs ---- */

static int codec_run(const struct fuzz_codec *codec, const struct slices *bytes, struct slices *out)
{
	int r;

	heap_begin();
	r = codec->again(bytes, out);
	heap_end(bytes->bytes);
	CHECK(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
	return r;
}

/* The same fields many times are one message, too: a parser's memory must not outgrow it. */
static void codec_repeat(const struct fuzz_codec *codec, const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices once = fuzz_cut(data, len, 0);
	auto_(slices_done) struct slices many = {0}, flat = {0}, again = {0};
	struct slice bytes;

	for (size_t i = 0; i < REPEATED_BYTES / len; i++)
		CHECK(slices_append_refs(&many, &once) == 0);
	CHECK(slices_flatten(&many, &bytes) == 0 && slices_append(&flat, bytes) == 0);
	codec_run(codec, &flat, &again);
}

void fuzz_codec(const struct fuzz_codec *codec, const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices whole = fuzz_cut(data, len, 0);
	auto_(slices_done) struct slices cut = fuzz_cut(data, len, len > 4096 ? len / 2 : 3);
	auto_(slices_done) struct slices first = {0}, second = {0};
	int r;

	heap_ignore(); /* what is only made to check */
	r = codec_run(codec, &whole, &first);
	CHECK(codec_run(codec, &cut, &second) == r);
	CHECK(r || slices_equal(&first, &second));
	slices_done(&second);
	if (len > 0 && len <= REPEATED_MAX && data[len - 1] % REPEATED_EACH == 0)
		codec_repeat(codec, data, len);
	if (r || codec->one_way)
		return;
	CHECK(codec_run(codec, &first, &second) == 0);
	CHECK(slices_equal(&first, &second));
}

#include "common/base/slice.h"

#include "common/base/files.h"
#include "kit/test.h"

#include <time.h>

struct counted {
	struct slice_owner owner;
	int released;
};

static void counted_release(struct slice_owner *owner)
{
	container_of(owner, struct counted, owner)->released++;
}

static void the_last_reference_releases(void **state)
{
	struct counted counted = {.released = 0};
	struct slice a = {.data = (const uint8_t *)"abcdef", .len = 6, .owner = &counted.owner};
	struct slice b, c;

	slice_owner_init(&counted.owner, counted_release);
	b = slice_ref(a);
	c = slice_sub(b, 2, 3);
	assert_memory_equal(c.data, "cde", 3);
	slice_unref(&a);
	assert_null(a.owner);
	slice_unref(&a);
	slice_unref(&b);
	assert_int_equal(counted.released, 0);
	slice_unref(&c);
	assert_int_equal(counted.released, 1);
}

static void kinds_of_bytes(void **state)
{
	struct slice slice;
	char *memory = strdup("taken");
	int fd = memfd_new("test");

	assert_int_equal(slice_copy("copied", 6, &slice), 0);
	assert_memory_equal(slice.data, "copied", 6);
	slice_unref(&slice);
	assert_int_equal(slice_copy(NULL, 0, &slice), 0);
	slice_unref(&slice);
	assert_int_equal(slice_copy("", SIZE_MAX, &slice), -ENOMEM);
	assert_int_equal(slice_take(memory, 5, &slice), 0);
	assert_ptr_equal(slice.data, memory);
	slice_unref(&slice);
	assert_int_equal(fd_write_all(fd, "mapped", 6), 0);
	assert_int_equal(slice_map(fd, 6, &slice), 0);
	assert_memory_equal(slice.data, "mapped", 6);
	slice_unref(&slice);
	assert_int_equal(slice_map(fd, 0, &slice), 0);
	assert_int_equal(slice.len, 0);
	assert_int_equal(slice_map(fd, 7, &slice), -EINVAL);
	assert_int_equal(slice_map(-1, 7, &slice), -EBADF);
	close(fd);
	slice = slice_static("static", 6);
	slice_unref(&slice);
}

static void empty_slices_are_not_kept(void **state)
{
	struct slices list = {0};
	struct counted counted = {.released = 0};

	slice_owner_init(&counted.owner, counted_release);
	assert_int_equal(
		slices_append(&list, (struct slice){.data = NULL, .owner = &counted.owner}), 0);
	assert_int_equal(counted.released, 1);
	assert_int_equal(slices_append_copy(&list, NULL, 0), 0);
	assert_int_equal(list.n, 0);
	slices_done(&list);
}

static void sums_do_not_wrap(void **state)
{
	struct slices list = {0};
	struct slice huge = slice_static("x", SIZE_MAX - 1);

	assert_int_equal(slices_append(&list, huge), 0);
	assert_int_equal(slices_append(&list, huge), -ENOMEM);
	assert_int_equal(list.n, 1);
	assert_int_equal(slices_append_refs(&list, &list), -ENOMEM);
	slices_done(&list);
}

static void a_list_appended_to_itself(void **state)
{
	struct slices list = {0};
	struct slice flat;

	for (int i = 0; i < 4; i++) {
		assert_int_equal(slices_append_copy(&list, "ab", 2), 0);
		assert_int_equal(slices_append_refs(&list, &list), 0);
	}
	assert_int_equal(list.bytes, 60);
	assert_int_equal(slices_flatten(&list, &flat), 0);
	for (size_t i = 0; i < flat.len; i++)
		assert_int_equal(flat.data[i], i % 2 ? 'b' : 'a');
	slice_unref(&flat);
	slices_done(&list);
}

/* ---- random operations against a plain buffer ---- */

#define MODEL_MAX 4096

struct model {
	uint8_t bytes[MODEL_MAX];
	size_t len;
	struct slices list;
};

static void model_check(const struct model *model)
{
	uint8_t buffer[MODEL_MAX];
	struct slice flat;
	size_t sum = 0;

	assert_int_equal(model->list.bytes, model->len);
	for (size_t i = 0; i < model->list.n; i++) {
		assert_true(model->list.v[i].len > 0);
		sum += model->list.v[i].len;
	}
	assert_int_equal(sum, model->len);
	assert_int_equal(slices_read(&model->list, 0, buffer, model->len), 0);
	assert_memory_equal(buffer, model->bytes, model->len);
	assert_int_equal(slices_read(&model->list, 1, buffer, model->len), -EINVAL);
	assert_int_equal(slices_flatten(&model->list, &flat), 0);
	assert_int_equal(flat.len, model->len);
	if (flat.len)
		assert_memory_equal(flat.data, model->bytes, flat.len);
	slice_unref(&flat);
}

static void model_add(struct model *model, size_t len)
{
	for (size_t i = 0; i < len; i++)
		model->bytes[model->len + i] = (uint8_t)rand();
	assert_int_equal(slices_append_copy(&model->list, model->bytes + model->len, len), 0);
	model->len += len;
}

static void model_step(struct model *models)
{
	struct model *to = &models[rand() % 3];
	struct model *from = &models[rand() % 3];
	size_t offset = from->len ? (size_t)rand() % from->len : 0;
	size_t len = (size_t)rand() % (from->len - offset + 1);

	switch (rand() % 5) {
	case 0:
		if (to->len + 64 < MODEL_MAX)
			model_add(to, (size_t)rand() % 64);
		break;
	case 1:
		if (to->len + len > MODEL_MAX)
			break;
		assert_int_equal(slices_append_range(&to->list, &from->list, offset, len), 0);
		memmove(to->bytes + to->len, from->bytes + offset, len);
		to->len += len;
		break;
	case 2:
		if (to == from || to->len + from->len > MODEL_MAX)
			break;
		assert_int_equal(slices_move(&to->list, &from->list), 0);
		memcpy(to->bytes + to->len, from->bytes, from->len);
		to->len += from->len;
		from->len = 0;
		break;
	case 3:
		assert_int_equal(
			slices_append_range(&to->list, &from->list, offset, SIZE_MAX), -EINVAL);
		assert_int_equal(
			slices_append_range(&to->list, &from->list, from->len + 1, 0), -EINVAL);
		break;
	default:
		if (to->len < MODEL_MAX / 2)
			break;
		slices_done(&to->list);
		to->len = 0;
	}
	model_check(to);
	model_check(from);
	assert_int_equal(slices_equal(&to->list, &from->list),
		to->len == from->len && memcmp(to->bytes, from->bytes, to->len) == 0);
}

static void random_operations(void **state)
{
	static struct model models[3];
	unsigned int seed = (unsigned int)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 5000; i++)
		model_step(models);
	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		slices_done(&models[i].list);
}

static void equal_however_cut(void **state)
{
	struct slices a = {0}, b = {0};

	assert_true(slices_equal(&a, &b));
	assert_int_equal(slices_append_copy(&a, "abcdef", 6), 0);
	assert_int_equal(slices_append_copy(&b, "ab", 2), 0);
	assert_false(slices_equal(&a, &b));
	assert_int_equal(slices_append_copy(&b, "cdef", 4), 0);
	assert_true(slices_equal(&a, &b));
	slices_done(&b);
	assert_int_equal(slices_append_copy(&b, "abcdex", 6), 0);
	assert_false(slices_equal(&a, &b));
	slices_done(&a);
	slices_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_reference_releases),
		cmocka_unit_test(kinds_of_bytes),
		cmocka_unit_test(empty_slices_are_not_kept),
		cmocka_unit_test(sums_do_not_wrap),
		cmocka_unit_test(a_list_appended_to_itself),
		cmocka_unit_test(random_operations),
		cmocka_unit_test(equal_however_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

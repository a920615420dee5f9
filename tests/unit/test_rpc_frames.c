/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and payloads of libvirt's protocol, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/frames.h"
#include "rpc/procedures.h"

static void put_word(unsigned char *at, uint32_t value)
{
	at[0] = (unsigned char)(value >> 24);
	at[1] = (unsigned char)(value >> 16);
	at[2] = (unsigned char)(value >> 8);
	at[3] = (unsigned char)value;
}

static int add(struct frame_buffer *buffer, const void *bytes, size_t size)
{
	const unsigned char *from = bytes;

	while (size) {
		unsigned char *at;
		size_t room;
		int r = frame_buffer_space(buffer, &at, &room);

		if (r < 0)
			return r;
		if (room > size)
			room = size;
		memcpy(at, from, room);
		frame_buffer_added(buffer, room);
		from += room;
		size -= room;
	}
	return 0;
}

static const struct frame_header header = {
	.program = 0x20008086, .version = 1, .procedure = 118, .type = 0, .serial = 7, .status = 0};

/* The bytes as libvirt's client sends them: recorded from virsh nodedev-detach. */
static void test_written_as_recorded(void **state)
{
	static const unsigned char recorded[] =
		"\0\0\0\x30\x20\0\x80\x86\0\0\0\1\0\0\0\x76\0\0\0\0\0\0\0\7\0\0\0\0"
		"\0\0\0\x10pci_0000_00_03_0";
	struct rpc_name name = {(char *)(uintptr_t)"pci_0000_00_03_0"};
	struct frame_bytes bytes;

	(void)state;
	assert_int_equal(frame_write(&header, (xdrproc_t)xdr_rpc_name, &name, &bytes), 0);
	assert_int_equal(bytes.size, sizeof(recorded) - 1);
	assert_memory_equal(bytes.bytes, recorded, bytes.size);
	free(bytes.bytes);
}

static void test_byte_by_byte(void **state)
{
	struct rpc_name name = {(char *)(uintptr_t)"computer"};
	struct frame_buffer buffer = {0};
	struct frame_bytes bytes;
	struct frame frame;
	size_t i;

	(void)state;
	assert_int_equal(frame_write(&header, (xdrproc_t)xdr_rpc_name, &name, &bytes), 0);
	for (i = 0; i < bytes.size; i++) {
		assert_int_equal(frame_buffer_take(&buffer, &frame), 0);
		assert_int_equal(add(&buffer, bytes.bytes + i, 1), 0);
		assert_true(frame_buffer_is_partial(&buffer));
	}
	assert_int_equal(frame_buffer_take(&buffer, &frame), 1);
	assert_memory_equal(&frame.header, &header, sizeof(header));
	assert_int_equal(frame.size, 12);
	assert_false(frame_buffer_is_partial(&buffer));
	assert_int_equal(frame_buffer_take(&buffer, &frame), 0);
	free(bytes.bytes);
	frame_buffer_free(&buffer);
}

static void test_many_at_once(void **state)
{
	struct frame_buffer buffer = {0};
	struct frame_bytes bytes;
	unsigned char all[28 * 200];
	struct frame frame;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct frame_header numbered = header;

		numbered.serial = (uint32_t)i;
		assert_int_equal(frame_write(&numbered, NULL, NULL, &bytes), 0);
		assert_int_equal(bytes.size, 28);
		memcpy(all + 28 * i, bytes.bytes, 28);
		free(bytes.bytes);
	}
	assert_int_equal(add(&buffer, all, sizeof(all)), 0);
	for (i = 0; i < 200; i++) {
		assert_int_equal(frame_buffer_take(&buffer, &frame), 1);
		assert_int_equal(frame.header.serial, i);
	}
	assert_int_equal(frame_buffer_take(&buffer, &frame), 0);
	frame_buffer_free(&buffer);
}

static void test_impossible_lengths(void **state)
{
	static const uint32_t lengths[] = {0, 3, 4, 27, FRAME_MAX + 1, 0x7fffffff, 0xffffffff};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct frame_buffer buffer = {0};
		unsigned char word[4], *at;
		struct frame frame;
		size_t room;

		put_word(word, lengths[i]);
		assert_int_equal(add(&buffer, word, sizeof(word)), 0);
		assert_int_equal(frame_buffer_take(&buffer, &frame), -EPROTO);
		assert_int_equal(frame_buffer_space(&buffer, &at, &room), -EPROTO);
		frame_buffer_free(&buffer);
	}
}

/* A length is a promise; memory is taken for what came. */
static void test_memory_follows_bytes(void **state)
{
	static unsigned char some[100000];
	struct frame_buffer buffer = {0};
	unsigned char word[4];
	struct frame frame;

	(void)state;
	put_word(word, FRAME_MAX);
	assert_int_equal(add(&buffer, word, sizeof(word)), 0);
	assert_true(buffer.room <= 4096);
	assert_int_equal(add(&buffer, some, sizeof(some)), 0);
	assert_int_equal(frame_buffer_take(&buffer, &frame), 0);
	assert_true(buffer.room <= 4 * sizeof(some));
	frame_buffer_free(&buffer);
}

static void test_large_frame(void **state)
{
	const size_t size = 3 * 1024 * 1024 + 28;
	unsigned char *bytes = calloc(1, size);
	struct frame_buffer buffer = {0};
	struct frame frame;
	unsigned char *at;
	size_t room;

	(void)state;
	assert_non_null(bytes);
	put_word(bytes, (uint32_t)size);
	put_word(bytes + 4, 0x20008086);
	bytes[size - 1] = 42;
	assert_int_equal(add(&buffer, bytes, size), 0);
	assert_int_equal(frame_buffer_take(&buffer, &frame), 1);
	assert_int_equal(frame.size, size - 28);
	assert_int_equal(frame.payload[frame.size - 1], 42);
	/* and the memory is given back */
	assert_int_equal(frame_buffer_space(&buffer, &at, &room), 0);
	assert_true(buffer.room <= 4096);
	frame_buffer_free(&buffer);
	free(bytes);
}

/* ---- payloads ---- */

static void test_decode(void **state)
{
	static const unsigned char bytes[] = "\0\0\0\4vfio\0\0\0\1\0\0\0\2pt\0\0\0\0\0\3";
	const struct rpc_procedure *detach = rpc_procedure_find(RPC_NODE_DEVICE_DETACH_FLAGS);
	struct rpc_detach_args *args;
	void *decoded;

	(void)state;
	assert_non_null(detach);
	assert_true(detach->is_change);
	assert_int_equal(
		rpc_decode(detach->args, detach->args_size, bytes, sizeof(bytes) - 1, &decoded), 0);
	args = decoded;
	assert_string_equal(args->name, "vfio");
	assert_string_equal(*args->driver, "pt");
	assert_int_equal(args->flags, 3);
	rpc_free(detach->args, decoded);
}

static void test_decode_refuses(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} bad[] = {
		{"", 0},
		{"\0\0\0\6abc\0ef\0\0", 12}, /* a NUL within */
		{"\0\0\0\4abc", 7},	     /* short */
		{"\0\0\0\4abcdX", 9},	     /* more than it should be */
		{"\xff\xff\xff\xff", 4},     /* a long string */
		{"\0\x40\0\1zz", 6},	     /* longer than strings may be */
		{"\0\0\0\5abcde\0\0", 11},   /* padding missing */
		{"\0\x40\0\0", 4},	     /* as long as may be, and nothing there */
	};
	const struct rpc_procedure *lookup = rpc_procedure_find(RPC_NODE_DEVICE_LOOKUP_BY_NAME);
	void *args = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rpc_decode(lookup->args, lookup->args_size, bad[i].bytes,
					    bad[i].size, &args),
				 -EBADMSG);
	assert_int_equal(rpc_decode(NULL, 0, "", 0, &args), 0);
	assert_int_equal(rpc_decode(NULL, 0, "\0\0\0\0", 4, &args), -EBADMSG);
	assert_null(args);
}

static void test_table(void **state)
{
	const struct rpc_procedure *procedure;
	int32_t last = 0;
	size_t i;

	(void)state;
	for (i = 0; (procedure = rpc_procedure_at(i)); i++) {
		assert_true(procedure->number > last);
		last = procedure->number;
		assert_ptr_equal(rpc_procedure_find(procedure->number), procedure);
		assert_int_equal(!procedure->args, !procedure->args_size);
		assert_int_equal(!procedure->result, !procedure->result_size);
	}
	assert_null(rpc_procedure_find(0));
	assert_null(rpc_procedure_find(-1));
	assert_null(rpc_procedure_find(100000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_as_recorded),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_impossible_lengths),
		cmocka_unit_test(test_memory_follows_bytes),
		cmocka_unit_test(test_large_frame),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

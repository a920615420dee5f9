/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/print.h"

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		unsigned int base;
		uint64_t max;
		int result;
		uint64_t value;
	} rows[] = {
		{"0", 10, 9, 0, 0},
		{"9", 10, 9, 0, 9},
		{"10", 10, 9, -ERANGE, 0},
		{"007", 10, 9, 0, 7},
		{"18446744073709551615", 10, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 10, UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999999", 10, UINT64_MAX, -ERANGE, 0},
		{"", 10, 9, -EINVAL, 0},
		{" 1", 10, 9, -EINVAL, 0},
		{"1 ", 10, 9, -EINVAL, 0},
		{"+1", 10, 9, -EINVAL, 0},
		{"-1", 10, UINT64_MAX, -EINVAL, 0},
		{"1x", 10, 9, -EINVAL, 0},
		{"0x1", 10, 9, -EINVAL, 0},
		{"a", 10, 99, -EINVAL, 0},
		{"1f", 16, 0x1f, 0, 0x1f},
		{"1F", 16, 0x1f, 0, 0x1f},
		{"0x1f", 16, 0x1f, 0, 0x1f},
		{"0X1f", 16, 0x1f, 0, 0x1f},
		{"20", 16, 0x1f, -ERANGE, 0},
		{"0x", 16, 0x1f, -EINVAL, 0},
		{"0x0x1", 16, 0x1f, -EINVAL, 0},
		{"0x-1", 16, UINT64_MAX, -EINVAL, 0},
		{"g", 16, 0x1f, -EINVAL, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = 4711;

		assert_int_equal(text_parse_number(rows[i].text, rows[i].base, rows[i].max, &value),
				 rows[i].result);
		assert_int_equal(value, rows[i].result ? 4711 : rows[i].value);
	}
}

static void test_format_and_copy(void **state)
{
	char buffer[8];

	(void)state;
	assert_int_equal(text_format(buffer, sizeof(buffer), "%s", "1234567"), 7);
	assert_string_equal(buffer, "1234567");
	assert_int_equal(text_format(buffer, sizeof(buffer), "%s", "12345678"), -ENAMETOOLONG);
	assert_true(text_copy(buffer, sizeof(buffer), "1234567"));
	assert_false(text_copy(buffer, sizeof(buffer), "abcdefgh"));
	assert_string_equal(buffer, "abcdefg");
	assert_true(text_equal(NULL, NULL));
	assert_false(text_equal("", NULL));
	assert_true(text_equal("a", "a"));
}

static void test_arena(void **state)
{
	struct arena arena = {0};
	unsigned char *pieces[300];
	size_t i, j;

	(void)state;
	for (i = 0; i < 300; i++) {
		size_t size = i * 97 % 20000; /* some larger than a block */

		pieces[i] = arena_alloc(&arena, size);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (j = 0; j < size; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)i, size);
	}
	for (i = 0; i < 300; i++)
		for (j = 0; j < i * 97 % 20000; j++)
			assert_int_equal(pieces[i][j], (unsigned char)i);
	assert_string_equal(arena_copy(&arena, "words and more", 5), "words");
	assert_null(arena_alloc(&arena, SIZE_MAX));
	arena_free(&arena);
	assert_null(arena.block);
	arena_free(&arena);
}

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{32, "32 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1536 B"},
		{16384, "16 KiB"},
		{1 << 20, "1 MiB"},
		{UINT64_C(1) << 38, "256 GiB"},
		{UINT64_C(1) << 63, "8 EiB"},
		{UINT64_MAX, "18446744073709551615 B"},
	};
	char text[PRINT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(print_size(rows[i].bytes, text), rows[i].text);
}

/* What print_cut() prints, freed by the caller. */
static char *cut(const char *text, size_t columns, bool is_utf8)
{
	struct cli cli = {.is_utf8 = is_utf8};
	char *printed = NULL;
	size_t size;

	cli.out = open_memstream(&printed, &size);
	print_cut(&cli, text, columns);
	assert_int_equal(fclose(cli.out), 0);
	return printed;
}

static void test_cut(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *in_utf8;
		const char *in_ascii;
	} rows[] = {
		{"abcdef", 0, "abcdef", "abcdef"},
		{"abcdef", 6, "abcdef", "abcdef"},
		{"abcdef", 5, "abcd…", "ab..."},
		{"abcdef", 1, "", ""},
		{"äöüßéè", 6, "äöüßéè", "äöüßéè"},
		{"äöüßéè", 5, "äöüß…", "äö..."},
		{"", 3, "", ""},
		/* two columns each */
		{"游戏机", 6, "游戏机", "游戏机"},
		{"游戏机", 5, "游戏…", "游..."},
		{"游戏机", 4, "游…", "..."},
		{"ab游戏😀", 7, "ab游戏…", "ab游..."},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *printed = cut(rows[i].text, rows[i].columns, true);

		assert_string_equal(printed, rows[i].in_utf8);
		free(printed);
		printed = cut(rows[i].text, rows[i].columns, false);
		assert_string_equal(printed, rows[i].in_ascii);
		free(printed);
	}
	assert_int_equal(print_columns("äöü…"), 4);
	assert_int_equal(print_columns("显卡 ｶﾞ 가😀"), 12);
	assert_int_equal(print_columns("e\xcc\x81"), 1); /* a letter and its accent */
}

static void test_cuts_between_characters(void **state)
{
	/* room, its text of "a游戏😀b" */
	static const struct {
		size_t size;
		const char *kept;
	} rows[] = {
		{2, "a"},     {3, "a"},	     {4, "a"},	      {5, "a游"},	{7, "a游"},
		{8, "a游戏"}, {11, "a游戏"}, {12, "a游戏😀"}, {13, "a游戏😀b"},
	};
	char buffer[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)text_copy(buffer, rows[i].size, "a游戏😀b");
		assert_string_equal(buffer, rows[i].kept);
		(void)text_format(buffer, rows[i].size, "%s", "a游戏😀b");
		assert_string_equal(buffer, rows[i].kept);
	}
	/* what is no character is not taken for the beginning of one */
	assert_int_equal(text_whole("\x80\x80\x80\x80", 4), 4);
	assert_int_equal(text_whole("\xff", 1), 1);
	assert_int_equal(text_whole("\xe0\x80", 2), 2);
	assert_int_equal(text_whole("", 0), 0);
}

static void test_clean(void **state)
{
	static const struct {
		const char *text, *line, *lines;
	} rows[] = {
		{"游戏 für 😀", "游戏 für 😀", "游戏 für 😀"},
		{"a\nb\tc\rd\x1b[31m\x7f", "a b c?d?[31m?", "a\nb\tc?d?[31m?"},
		{"\xc2\x9b"
		 "31m\xc2\xa0",
		 "?31m\xc2\xa0", "?31m\xc2\xa0"}, /* C1's CSI */
		{"\xb0\xae", "??", "??"},
		{"\xe6\xb8", "?", "?"}, /* one character that was cut */
		{"\xe6\xb8x", "?x", "?x"},
		{"\xc0\x80", "??", "??"},	      /* overlong */
		{"\xed\xa0\x80", "???", "???"},	      /* a surrogate */
		{"\xf4\x90\x80\x80", "????", "????"}, /* above U+10FFFF */
		{"\xf0\x9f\x98", "?", "?"},
		{"\u202ea\u2066b\u2069\u2027", "?a?b?\u2027", "?a?b?\u2027"},
	};
	char buffer[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)text_copy(buffer, sizeof(buffer), rows[i].text);
		text_clean(buffer);
		assert_string_equal(buffer, rows[i].line);
		(void)text_copy(buffer, sizeof(buffer), rows[i].text);
		text_clean_lines(buffer);
		assert_string_equal(buffer, rows[i].lines);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_format_and_copy),
		cmocka_unit_test(test_arena),	cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_cut),	cmocka_unit_test(test_cuts_between_characters),
		cmocka_unit_test(test_clean),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How devices are worded in more than one verb's output. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "cli/cli.h"

#define PRINT_NAME 256

/*
 * One word for what a function is, "nvme", "ethernet", "display": from a table of classes, else
 * the class code in hex. --class of list takes the same words.
 */
#define PRINT_CLASS 16
const char *print_class(uint32_t class_code, char word[PRINT_CLASS]);

/* Vendor and product, the vendor without "Inc." and the like; ids where there are no names. */
char *print_name(struct cli *cli, const struct pt_function *function, char name[PRINT_NAME]);

/* The same, without the vendor when @columns are too few for both; 0: as many as it takes. */
char *print_name_within(struct cli *cli, const struct pt_function *function, size_t columns,
			char name[PRINT_NAME]);

/* "256 MiB" */
#define PRINT_SIZE 24
char *print_size(uint64_t bytes, char text[PRINT_SIZE]);

/* Columns that UTF-8 text takes, one for each character. */
size_t print_columns(const char *text);

/* Print at most @columns columns of @text, ending in an ellipsis when it had to cut; 0: all. */
void print_cut(struct cli *cli, const char *text, size_t columns);

/* @count spaces. */
void print_spaces(FILE *out, size_t count);

/* All of a struct pt_function with its names, as in the output of list, tree and show. */
struct json_object *cli_json_function(struct cli *cli, const struct pt_function *function);

/* A state file that can't be read, among what could be: its line, and {"state": "unreadable", …}.
 */
void print_unreadable(struct cli *cli, const struct pt_unreadable *file, int state_width);
struct json_object *cli_json_unreadable(const struct pt_unreadable *file);

/* "0000:01:00.0" */
struct json_object *cli_json_address(const struct pt_address *address);

/* "0x" and @digits hex digits. */
struct json_object *cli_json_hex(uint64_t value, int digits);

/* show_json.c: everything of one function. */
struct json_object *cli_json_details(struct cli *cli, const struct pt_snapshot *snapshot,
				     const struct pt_function *function,
				     const struct pt_details *details,
				     const struct pt_reset *reset);

/* show_xml.c: one function as a <hostdev> element. */
void print_hostdev_xml(struct cli *cli, const struct pt_address *address);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing XML as libvirt lays it out: two spaces a level, an element a line. */
#ifndef BASE_XML_H
#define BASE_XML_H

#include <stdio.h>

/* Text for between tags and within quotes; what XML 1.0 can't hold becomes "?". */
void xml_text(FILE *out, const char *text);

/* "<NAME>TEXT</NAME>" on a line of its own. */
void xml_element(FILE *out, int indent, const char *name, const char *text);

#endif

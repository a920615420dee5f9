/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From text to a tree of elements, attributes and texts, and nothing else. */
#include "domain/definition/tree.h"

#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "domain/definition/definition.h"
#include "domain/definition/xml_node.h"

/* Of an element, where those that are known have two dozen; and namespaces of a definition. */
#define ATTRIBUTES_MAX 1000

AUTO_DEFINE(parser, xmlParserCtxt *, xmlFreeParserCtxt)

/* A document type is where entities come from, and no definition has one. */
static void refuse_document_type(void *context, const xmlChar *name, const xmlChar *external,
				 const xmlChar *system)
{
	xmlParserCtxt *parser = context;

	(void)name;
	(void)external;
	(void)system;
	parser->_private = parser;
	xmlStopParser(parser);
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

/*
 * Blanks between elements are layout. In metadata, which is not ours, they are kept where they
 * may be text: beside other text, and alone.
 */
static void drop_layout(xmlNode *node, bool is_metadata)
{
	xmlNode *child, *next;

	if (is_metadata && !xmlFirstElementChild(node))
		return;
	for (child = node->children; child; child = child->next)
		if (child->type == XML_TEXT_NODE && !is_blank((const char *)child->content))
			return;
	for (child = node->children; child; child = next) {
		next = child->next;
		if (child->type == XML_TEXT_NODE)
			node_remove(child);
	}
}

/*
 * Comments and processing instructions go, as in libvirt; texts that they parted are joined.
 * The parser bounds the depth (256).
 */
static int tidy(xmlNode *node, bool is_metadata)
{
	xmlNode *child, *next;
	int r = 0;

	for (child = node->children; child && r == 0; child = next) {
		next = child->next;
		if (child->type == XML_ELEMENT_NODE)
			r = tidy(child, is_metadata || node_is(child, "metadata"));
		else if (child->type != XML_TEXT_NODE)
			node_remove(child);
		else if (child->prev && child->prev->type == XML_TEXT_NODE &&
			 !xmlTextMerge(child->prev, child))
			r = -ENOMEM;
	}
	drop_layout(node, is_metadata);
	return r;
}

/* Behind what begins at @text with @from and ends with @to; NULL: something else begins there. */
static const char *skip(const char *text, const char *from, const char *to)
{
	const char *end;

	if (strncmp(text, from, strlen(from)) != 0)
		return NULL;
	end = strstr(text + strlen(from), to);
	return end ? end + strlen(to) : text + strlen(text);
}

/* The attributes of the tag that begins there, and its end. */
static unsigned int count_attributes(const char **at)
{
	const char *text = *at + 1, *end;
	unsigned int count = 0;

	while (*(text += strcspn(text, "=\"'>")) && *text != '>') {
		count += *text == '=';
		end = *text == '=' ? NULL : strchr(text + 1, *text);
		text = end ? end + 1 : text + 1;
	}
	*at = text;
	return count;
}

/*
 * The parser compares each attribute of an element with each, and each name with the namespaces
 * around it: 60,000 of them would take ten seconds. Where the text isn't well-formed, the parser
 * says that, later.
 */
static int check_crowds(const char *text, struct pt_error *err)
{
	static const char *const others[][2] = {
		{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
	unsigned int namespaces = 0;

	for (const char *at = text; (at = strstr(at, "xmlns")); at++)
		if (++namespaces > ATTRIBUTES_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "the XML declares more than %d namespaces", ATTRIBUTES_MAX);
	while ((text = strchr(text, '<'))) {
		const char *behind = NULL;

		for (size_t i = 0; !behind && i < sizeof(others) / sizeof(others[0]); i++)
			behind = skip(text, others[i][0], others[i][1]);
		if (!behind && count_attributes(&text) > ATTRIBUTES_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "the XML has an element with more than %d attributes",
				       ATTRIBUTES_MAX);
		text = behind ? behind : text;
	}
	return 0;
}

/* Else the parser would see other letters than check_crowds() does. */
static int check_encoding(const char *text, struct pt_error *err)
{
	static const char *const known[] = {"UTF-8", "US-ASCII", "ASCII", "ISO-8859-"};
	const char *end, *at;
	size_t length;

	text += strspn(text, " \t\r\n");
	end = strncmp(text, "<?xml", 5) == 0 ? strstr(text, "?>") : NULL;
	at = end ? strstr(text, "encoding") : NULL;
	if (!at || at > end)
		return 0;
	at += strlen("encoding");
	at += strspn(at, " \t\r\n='\"");
	length = strcspn(at, "'\"?");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncasecmp(at, known[i], strlen(known[i])) == 0)
			return 0;
	return pt_fail(err, PT_INVALID, EOPNOTSUPP, "the XML is in %.*s; write it in UTF-8",
		       (int)(length > 60 ? 60 : length), at);
}

int tree_parse(const char *text, xmlDoc **ret_doc, struct pt_error *err)
{
	/*
	 * Nothing is fetched; values come without entity references (those five that XML has by
	 * itself are replaced, others can't be declared); limits of size and depth stay on.
	 */
	const int options = XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA |
			    XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES;
	AUTO(auto_parser) xmlParserCtxt *context = NULL;
	AUTO(auto_doc) xmlDoc *doc = NULL;
	size_t len = strnlen(text, DEFINITION_MAX_TEXT + 1);
	xmlNode *root;

	if (len > DEFINITION_MAX_TEXT)
		return pt_fail(err, PT_INVALID, EINVAL, "the XML is longer than %u bytes",
			       DEFINITION_MAX_TEXT);
	if (check_encoding(text, err) < 0 || check_crowds(text, err) < 0)
		return -EOPNOTSUPP;
	context = xmlNewParserCtxt();
	if (!context)
		return pt_fail_memory(err);
	context->sax->internalSubset = refuse_document_type;
	doc = xmlCtxtReadMemory(context, text, (int)len, NULL, NULL, options);
	if (context->_private)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "the XML has a document type (<!DOCTYPE>), which isn't supported");
	if (!doc || !context->wellFormed) {
		const char *why =
			context->lastError.message ? context->lastError.message : "it is empty";

		return pt_fail(err, PT_INVALID, EINVAL, "line %d: invalid XML: %.*s",
			       context->lastError.line, (int)strcspn(why, "\n"), why);
	}
	root = xmlDocGetRootElement(doc);
	if (!root)
		return pt_fail(err, PT_INVALID, EINVAL, "the XML is empty");
	if (tidy(root, false) < 0)
		return pt_fail_memory(err);
	*ret_doc = TAKE_POINTER(doc);
	return 0;
}

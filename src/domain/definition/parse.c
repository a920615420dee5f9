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

/* Where in the text one is: in a tag, in a value of it, or in what has neither. */
struct place {
	const char *until; /* what ends a comment, CDATA or an instruction; NULL: none of these */
	char quote;	   /* of a value; 0: in none */
	bool is_tag;
	unsigned int attributes; /* of the tag */
};

/* At a '<': what begins there, and how long its beginning is. */
static size_t enter(struct place *place, const char *at)
{
	static const char *const others[][2] = {
		{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(at, others[i][0], strlen(others[i][0])) == 0) {
			place->until = others[i][1];
			return strlen(others[i][0]);
		}
	place->is_tag = true;
	place->attributes = 0;
	return 1;
}

/* One step; how far. */
static size_t step(struct place *place, const char *at)
{
	if (place->until) {
		size_t length = strlen(place->until);

		if (strncmp(at, place->until, length) != 0)
			return 1;
		place->until = NULL;
		return length;
	}
	if (!place->is_tag)
		return *at == '<' ? enter(place, at) : 1;
	if (place->quote)
		place->quote = *at == place->quote ? '\0' : place->quote;
	else if (*at == '"' || *at == '\'')
		place->quote = *at;
	else if (*at == '=')
		place->attributes++;
	else if (*at == '>')
		place->is_tag = false;
	return 1;
}

/*
 * The parser compares each attribute of an element with each, and each name with the namespaces
 * around it: 60,000 of them would take ten seconds. Where the text isn't well-formed, the parser
 * says that, later.
 */
static int check_crowds(const char *text, struct pt_error *err)
{
	struct place place = {.until = NULL};
	unsigned int namespaces = 0;

	for (size_t length; *text; text += length) {
		namespaces += *text == 'x' && strncmp(text, "xmlns", 5) == 0;
		length = step(&place, text);
		if (place.attributes > ATTRIBUTES_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "the XML has an element with more than %d attributes",
				       ATTRIBUTES_MAX);
		if (namespaces > ATTRIBUTES_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "the XML declares more than %d namespaces", ATTRIBUTES_MAX);
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

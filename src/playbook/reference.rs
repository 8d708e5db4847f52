//! The words of the template language, for its page in `docs/`. A test
//! evaluates every example, so that the page cannot say what is not so.

/// A filter, test or function.
#[derive(Debug, Clone, Copy)]
pub struct TemplateWord {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// An expression that uses it.
    pub example: &'static str,
    /// What that gives, as JSON.
    pub gives: &'static str,
}

const fn word(name: &'static str, doc: &'static str, example: &'static str, gives: &'static str) -> TemplateWord {
    TemplateWord { name, doc, example, gives }
}

/// The filters: `value | name(argument=value)`.
pub static TEMPLATE_FILTERS: [TemplateWord; 36] = [
    word("abs", "the number without its sign", "(1 - 4) | abs", "3"),
    word("capitalize", "the first letter large, the others small", "'wEB' | capitalize", "\"Web\""),
    word("default", "another value where there is none", "'' ~ (nothing | default(value='x'))", "\"x\""),
    word("escape", "text for HTML", "'<' | escape", "\"&lt;\""),
    word("escape_html", "text for HTML", "'<' | escape_html", "\"&lt;\""),
    word("escape_xml", "text for XML", "'<' | escape_xml", "\"&lt;\""),
    word("first", "the first element", "[1, 2] | first", "1"),
    word("float", "a number with a fraction", "'1.5' | float", "1.5"),
    word("get", "the value under a key of a table", "{'a': 1} | get(key='b', default=0)", "0"),
    word(
        "group_by",
        "elements by the value of a field",
        "[{'a': 'x'}] | group_by(attribute='a')",
        "{\"x\":[{\"a\":\"x\"}]}",
    ),
    word("indent", "all lines but the first moved to the right", "'a\nb' | indent(width=2)", "\"a\\n  b\""),
    word("int", "a whole number", "'12' | int", "12"),
    word("join", "the elements as one text", "['a', 'b'] | join(sep=', ')", "\"a, b\""),
    word("keys", "the keys of a table", "{'a': 1} | keys", "[\"a\"]"),
    word("last", "the last element", "[1, 2] | last", "2"),
    word("length", "how many elements or characters", "[1, 2] | length", "2"),
    word("lower", "small letters", "'WEB' | lower", "\"web\""),
    word("newlines_to_br", "line ends as HTML", "'a\nb' | newlines_to_br", "\"a<br>b\""),
    word("nth", "the element of a number, from 0", "[1, 2] | nth(n=1)", "2"),
    word("pairs", "the keys of a table with their values", "{'a': 1} | pairs", "[[\"a\",1]]"),
    word("pluralize", "an ending that goes with a number", "2 | pluralize", "\"s\""),
    word("replace", "one text in place of another", "'a-b' | replace(from='-', to='_')", "\"a_b\""),
    word("reverse", "the other way round", "[1, 2] | reverse", "[2,1]"),
    word("round", "a rounded number", "1.6 | round", "2.0"),
    word("safe", "the text as it is", "'<' | safe", "\"<\""),
    word("sort", "in order", "['b', 'a'] | sort", "[\"a\",\"b\"]"),
    word("split", "the parts of a text", "'a,b' | split(pat=',')", "[\"a\",\"b\"]"),
    word("str", "the value as a text: what a field that takes a string needs of a number", "8080 | str", "\"8080\""),
    word("title", "each word with a large letter", "'a web' | title", "\"A Web\""),
    word("trim", "without the blanks around", "' a ' | trim", "\"a\""),
    word("trim_end", "without the blanks at the end", "' a ' | trim_end", "\" a\""),
    word("trim_start", "without the blanks at the beginning", "' a ' | trim_start", "\"a \""),
    word("truncate", "at most so many characters", "'abcdef' | truncate(length=3)", "\"abc…\""),
    word("unique", "without repetitions", "[1, 1, 2] | unique", "[1,2]"),
    word("upper", "large letters", "'web' | upper", "\"WEB\""),
    word("values", "the values of a table", "{'a': 1} | values", "[1]"),
];

/// The tests: `value is name` and `value is not name`.
pub static TEMPLATE_TESTS: [TemplateWord; 17] = [
    word("array", "an array", "[1] is array", "true"),
    word("bool", "true or false", "true is bool", "true"),
    word("containing", "holds this element or text", "[1, 2] is containing(pat=2)", "true"),
    word("defined", "there is such a value", "nothing is defined", "false"),
    word("divisible_by", "divides without a rest", "9 is divisible_by(divisor=3)", "true"),
    word("ending_with", "ends with this text", "'a.conf' is ending_with(pat='.conf')", "true"),
    word("even", "an even number", "2 is even", "true"),
    word("float", "a number with a fraction", "1.5 is float", "true"),
    word("integer", "a whole number", "1 is integer", "true"),
    word("iterable", "can be gone through with 'for'", "[1] is iterable", "true"),
    word("map", "a table", "{'a': 1} is map", "true"),
    word("none", "the value 'none'", "none is none", "true"),
    word("number", "a number", "1.5 is number", "true"),
    word("odd", "an odd number", "3 is odd", "true"),
    word("starting_with", "begins with this text", "'web1' is starting_with(pat='web')", "true"),
    word("string", "a text", "'a' is string", "true"),
    word("undefined", "there is no such value", "nothing is undefined", "true"),
];

/// The functions: `name(argument=value)`.
pub static TEMPLATE_FUNCTIONS: [TemplateWord; 1] =
    [word("range", "the whole numbers up to 'end', which is not among them", "range(start=1, end=4)", "[1,2,3]")];

//! The text of a cue: the standard's tokenizer and tree.

use super::{Cursor, is_space};
use crate::speech::subtitles::captions::{Element, Node, Tag};

/// Deeper than this, start tags are left out: no subtitle needs it, and whoever walks a tree
/// should not run out of stack.
const MAX_DEPTH: usize = 64;

/// "Parse WebVTT cue text".
pub(super) fn nodes(text: &str) -> Vec<Node> {
    let mut tree = Tree { open: vec![Element::new(Tag::Class, Vec::new())] };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '<' {
            // A tag ends with `>` or with the text.
            let inside = &rest[1..];
            let (inside, after) = inside.split_once('>').unwrap_or((inside, ""));
            tree.tag(inside);
            rest = after;
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            tree.push(Node::Text(htmlize::unescape(&rest[..end]).into_owned()));
            rest = &rest[end..];
        }
    }
    tree.finish()
}

struct Tree {
    /// The root and the elements that are open.
    open: Vec<Element>,
}

impl Element {
    fn new(tag: Tag, classes: Vec<String>) -> Self {
        Self { tag, classes, children: Vec::new() }
    }
}

impl Tree {
    fn push(&mut self, node: Node) {
        if let Some(current) = self.open.last_mut() {
            current.children.push(node);
        }
    }

    fn close(&mut self) {
        if self.open.len() > 1
            && let Some(done) = self.open.pop()
        {
            self.push(Node::Element(done));
        }
    }

    fn finish(mut self) -> Vec<Node> {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().map(|root| root.children).unwrap_or_default()
    }

    /// `inside` stands between `<` and `>`.
    fn tag(&mut self, inside: &str) {
        match inside.chars().next() {
            Some('/') => self.end(&inside[1..]),
            Some(c) if c.is_ascii_digit() => {
                let mut cursor = Cursor { rest: inside };
                if let Some(time) = cursor.timestamp().filter(|_| cursor.rest.is_empty()) {
                    self.push(Node::Time(time));
                }
            }
            _ => self.start(inside),
        }
    }

    fn start(&mut self, inside: &str) {
        // name, then .classes, then white space and an annotation
        let (head, annotation) = match inside.find(is_space) {
            Some(at) => (&inside[..at], &inside[at..]),
            None => (inside, ""),
        };
        let mut names = head.split('.');
        let tag = match names.next().unwrap_or("") {
            "c" => Tag::Class,
            "i" => Tag::Italic,
            "b" => Tag::Bold,
            "u" => Tag::Underline,
            "ruby" => Tag::Ruby,
            "rt" if self.inside(&Tag::Ruby) => Tag::RubyText,
            "v" => Tag::Voice(annotated(annotation)),
            "lang" => Tag::Lang(annotated(annotation)),
            _ => return,
        };
        if self.open.len() <= MAX_DEPTH {
            let classes = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
            self.open.push(Element::new(tag, classes));
        }
    }

    fn inside(&self, tag: &Tag) -> bool {
        self.open.len() > 1 && self.open.last().is_some_and(|current| current.tag == *tag)
    }

    fn end(&mut self, name: &str) {
        let Some(current) = self.open.get(1..).and_then(<[_]>::last) else { return };
        match (&current.tag, name) {
            (Tag::Class, "c")
            | (Tag::Italic, "i")
            | (Tag::Bold, "b")
            | (Tag::Underline, "u")
            | (Tag::Ruby, "ruby")
            | (Tag::RubyText, "rt")
            | (Tag::Voice(_), "v")
            | (Tag::Lang(_), "lang") => self.close(),
            (Tag::RubyText, "ruby") => {
                self.close();
                self.close();
            }
            _ => {}
        }
    }
}

/// An annotation: white space at its ends taken off, inside it joined.
fn annotated(text: &str) -> String {
    let text = htmlize::unescape(text);
    text.split(is_space).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn text(text: &str) -> Node {
        Node::Text(text.into())
    }

    #[test]
    fn tags_classes_and_times() {
        let voice = Element {
            tag: Tag::Voice("Ann & Bob".into()),
            classes: vec!["loud".into()],
            children: vec![text("Hi"), Node::Time(Timestamp::from_millis(1500)), text(" & you")],
        };
        assert_eq!(
            nodes("<v..loud  Ann &amp;\n Bob >Hi<00:01.500> &amp; you</v><1:0>"),
            [Node::Element(voice)]
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = nodes(&"<b>".repeat(1_000_000));
        let mut depth = 0;
        let mut at = &deep;
        while let Some(Node::Element(element)) = at.first() {
            depth += 1;
            at = &element.children;
        }
        assert_eq!(depth, MAX_DEPTH);
    }
}

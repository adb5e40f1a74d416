//! How one type of the language is read, written and described. Types are declared in `language`, by the macros of
//! `declare`; here is what their declarations come to for numbers, lists, maps and unions.

use super::error::{SpecError, nearest};
use super::node::{Kind, Node};
use super::shape::{Field, Shape};
use super::value::{Value, short_number};

/// A type of the spec language.
pub(crate) trait Piece: Sized {
    /// What limits it: a range for a number, nothing for a record.
    type Rule;

    /// Reads it, adding what is wrong to `errors`.
    fn read(node: &Node, rule: &Self::Rule, path: &str, errors: &mut Vec<SpecError>) -> Option<Self>;

    /// Its canonical form.
    fn write(&self) -> Value;

    /// What may stand there.
    fn shape(rule: &Self::Rule) -> Shape;
}

/// A record of which every field has a default, with all of them.
pub(crate) fn standard<T: Piece<Rule = ()>>() -> T {
    let mut errors = Vec::new();
    T::read(&Node::from_value(&Value::Map(Vec::new())), &(), "", &mut errors).expect("every field has a default")
}

/// Adds a mistake at a node.
pub(crate) fn refuse(errors: &mut Vec<SpecError>, node: &Node, path: &str, message: String) {
    errors.push(SpecError { line: node.line, column: node.column, path: path.to_owned(), message });
}

/// The range of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range<T> {
    pub(crate) min: T,
    pub(crate) max: T,
    pub(crate) log: bool,
}

impl<T> Range<T> {
    /// Steps of this number are ratios, not differences.
    pub(crate) const fn log(mut self) -> Self {
        self.log = true;
        self
    }
}

/// A whole number in `min..=max`.
pub(crate) const fn int(min: i64, max: i64) -> Range<i64> {
    Range { min, max, log: false }
}

/// A number in `min..=max`.
pub(crate) const fn float(min: f64, max: f64) -> Range<f64> {
    Range { min, max, log: false }
}

/// A list of `min..=max` items, each under `item`.
pub(crate) struct ListRule<R> {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) item: R,
}

/// The rule of a list whose items need none.
pub(crate) const fn list(min: usize, max: usize) -> ListRule<()> {
    list_of(min, max, ())
}

/// The rule of a list with a rule for its items: `list_of(2, 8, list(1, 8))` for lists of blocks, `list_of(1, 4, int(1, 9))`
/// for numbers.
pub(crate) const fn list_of<R>(min: usize, max: usize, item: R) -> ListRule<R> {
    ListRule { min, max, item }
}

fn read_int(node: &Node, rule: &Range<i64>, path: &str, errors: &mut Vec<SpecError>) -> Option<i64> {
    let whole = match node.kind {
        Kind::Scalar(Value::Int(whole)) => Some(whole),
        // `1e3` and `128.0` are whole numbers to the people and models that write them.
        Kind::Scalar(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        _ => None,
    };
    match whole {
        Some(whole) if (rule.min..=rule.max).contains(&whole) => Some(whole),
        Some(whole) => {
            refuse(errors, node, path, format!("{whole} is out of range: {} to {}", rule.min, rule.max));
            None
        }
        None => {
            refuse(
                errors,
                node,
                path,
                format!("found {}, wanted a whole number from {} to {}", node.describe(), rule.min, rule.max),
            );
            None
        }
    }
}

impl Piece for u32 {
    type Rule = Range<i64>;

    fn read(node: &Node, rule: &Self::Rule, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        read_int(node, rule, path, errors).and_then(|whole| Self::try_from(whole).ok())
    }

    fn write(&self) -> Value {
        Value::Int(i64::from(*self))
    }

    fn shape(rule: &Self::Rule) -> Shape {
        Shape::Int { min: rule.min, max: rule.max, log: rule.log }
    }
}

impl Piece for f64 {
    type Rule = Range<f64>;

    fn read(node: &Node, rule: &Self::Rule, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        let number = match &node.kind {
            Kind::Scalar(value) => value.number(),
            _ => None,
        };
        match number {
            Some(number) if (rule.min..=rule.max).contains(&number) => Some(number + 0.0),
            Some(number) => {
                let message = format!("{} is out of range: {} to {}", short_number(number), rule.min, rule.max);
                refuse(errors, node, path, message);
                None
            }
            None => {
                refuse(
                    errors,
                    node,
                    path,
                    format!("found {}, wanted a number from {} to {}", node.describe(), rule.min, rule.max),
                );
                None
            }
        }
    }

    fn write(&self) -> Value {
        Value::Float(*self)
    }

    fn shape(rule: &Self::Rule) -> Shape {
        Shape::Float { min: rule.min, max: rule.max, log: rule.log }
    }
}

impl Piece for bool {
    type Rule = ();

    fn read(node: &Node, (): &(), path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        if let Kind::Scalar(Value::Bool(flag)) = node.kind {
            return Some(flag);
        }
        refuse(errors, node, path, format!("found {}, wanted true or false", node.describe()));
        None
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }

    fn shape((): &()) -> Shape {
        Shape::Bool
    }
}

impl<T: Piece> Piece for Option<T> {
    type Rule = T::Rule;

    fn read(node: &Node, rule: &Self::Rule, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        if matches!(node.kind, Kind::Scalar(Value::Null)) {
            return Some(None);
        }
        T::read(node, rule, path, errors).map(Some)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, Piece::write)
    }

    fn shape(rule: &Self::Rule) -> Shape {
        Shape::Optional(Box::new(T::shape(rule)))
    }
}

impl<T: Piece> Piece for Vec<T> {
    type Rule = ListRule<T::Rule>;

    fn read(node: &Node, rule: &Self::Rule, path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            refuse(errors, node, path, format!("found {}, wanted a list", node.describe()));
            return None;
        };
        let fits = (rule.min..=rule.max).contains(&items.len());
        if !fits {
            refuse(errors, node, path, format!("{} items, wanted {} to {}", items.len(), rule.min, rule.max));
        }
        // Every item is read, so that all mistakes come out at once; of far too many, as many as there may be.
        let read: Vec<Option<T>> = items
            .iter()
            .take(rule.max)
            .enumerate()
            .map(|(index, item)| T::read(item, &rule.item, &format!("{path}[{index}]"), errors))
            .collect();
        read.into_iter().collect::<Option<Vec<T>>>().filter(|_| fits)
    }

    fn write(&self) -> Value {
        Value::List(self.iter().map(Piece::write).collect())
    }

    fn shape(rule: &Self::Rule) -> Shape {
        Shape::List { item: Box::new(T::shape(&rule.item)), min: rule.min, max: rule.max }
    }
}

/// A map's entries by name, with unknown names refused.
pub(crate) struct Entries<'a> {
    node: &'a Node,
    path: String,
    entries: &'a [(Node, Node)],
}

impl<'a> Entries<'a> {
    /// Takes a node as a map with these names only.
    pub(crate) fn open(node: &'a Node, path: &str, allowed: &[&str], errors: &mut Vec<SpecError>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            refuse(errors, node, path, format!("found {}, wanted a map with {}", node.describe(), words(allowed)));
            return None;
        };
        for (key, _) in entries {
            let name = key.text().unwrap_or_default();
            if !allowed.contains(&name) {
                let near = nearest(name, allowed);
                refuse(errors, key, &join(path, name), format!("unknown field; allowed: {}.{near}", words(allowed)));
            }
        }
        Some(Self { node, path: path.to_owned(), entries })
    }

    /// Reads one entry, or takes its default.
    pub(crate) fn take<T: Piece>(
        &self,
        name: &str,
        rule: &T::Rule,
        default: Option<T>,
        errors: &mut Vec<SpecError>,
    ) -> Option<T> {
        match self.entries.iter().find(|(key, _)| key.text() == Some(name)) {
            Some((_, node)) => T::read(node, rule, &join(&self.path, name), errors),
            None => {
                if default.is_none() {
                    refuse(errors, self.node, &join(&self.path, name), "missing; it has no default".into());
                }
                default
            }
        }
    }
}

/// `a`, `b` and `c`, for messages.
pub(crate) fn words(names: &[&str]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

/// `path.name`, or just the name at the top.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A union: exactly one of several named kinds, each with fields of its own.
pub(crate) trait Union: Sized {
    /// The names.
    const WORDS: &'static [&'static str];

    /// Reads the kind called `word` from its fields.
    fn read_as(word: &str, fields: &Node, path: &str, errors: &mut Vec<SpecError>) -> Option<Self>;

    /// The name and the canonical fields.
    fn write_as(&self) -> (&'static str, Value);

    /// Name, words for people, and shape of the fields of each kind.
    fn kinds() -> Vec<Field>;

    /// The union's own name and description.
    fn about() -> (&'static str, &'static str);
}

/// Finds the one kind that a node names: `gelu`, or `dense: {…}`. `beside` are names that may stand next to it.
pub(crate) fn read_union<U: Union>(node: &Node, path: &str, beside: &[&str], errors: &mut Vec<SpecError>) -> Option<U> {
    let unknown = |errors: &mut Vec<SpecError>, at: &Node, found: &str| {
        let near = nearest(found, &[U::WORDS, beside].concat());
        let also = if beside.is_empty() { String::new() } else { format!("; beside it: {}", words(beside)) };
        refuse(errors, at, path, format!("`{found}` is not known here; allowed: {}{also}.{near}", words(U::WORDS)));
    };
    if let Some(word) = node.text() {
        if !U::WORDS.contains(&word) {
            unknown(errors, node, word);
            return None;
        }
        return read_bare(word, node, path, errors);
    }
    let Kind::Map(entries) = &node.kind else {
        refuse(errors, node, path, format!("found {}, wanted one of {}", node.describe(), words(U::WORDS)));
        return None;
    };
    let mut found: Option<(&Node, &Node)> = None;
    let before = errors.len();
    for (key, fields) in entries {
        let word = key.text().unwrap_or_default();
        if beside.contains(&word) {
            continue;
        }
        if !U::WORDS.contains(&word) {
            unknown(errors, key, word);
        } else if let Some((first, _)) = found {
            // The same word twice is a key twice, which is said of any map.
            if first.text() == Some(word) {
                continue;
            }
            let message = format!("`{}` and `{word}` stand together; choose one", first.text().unwrap_or_default());
            refuse(errors, key, path, message);
        } else {
            found = Some((key, fields));
        }
    }
    let Some((key, fields)) = found else {
        if errors.len() == before {
            refuse(errors, node, path, format!("nothing is chosen; one of {}", words(U::WORDS)));
        }
        return None;
    };
    let word = key.text().unwrap_or_default();
    if matches!(fields.kind, Kind::Scalar(Value::Null)) {
        return read_bare(word, fields, path, errors);
    }
    U::read_as(word, fields, &join(path, word), errors)
}

/// Reads a kind that is named without its payload: a record then has its defaults, anything else must be written.
fn read_bare<U: Union>(word: &str, node: &Node, path: &str, errors: &mut Vec<SpecError>) -> Option<U> {
    let path = join(path, word);
    match U::kinds().iter().find(|kind| kind.name == word).map(|kind| &kind.shape) {
        None | Some(Shape::Record { .. }) => U::read_as(word, &node.empty_map(), &path, errors),
        Some(shape) => {
            refuse(errors, node, &path, format!("`{word}` needs a value: {}", shape.words()));
            None
        }
    }
}

/// A union's canonical form: the bare word where the kind has no fields, else `{ word: fields }`.
pub(crate) fn write_union<U: Union>(union: &U) -> Value {
    let (word, fields) = union.write_as();
    match fields {
        Value::Map(entries) if entries.is_empty() => Value::Text(word.into()),
        fields => Value::Map(vec![(word.into(), fields)]),
    }
}

/// A union with fields of another record standing beside its kind, as in `{ cosine: {…}, warmup_epochs: 1 }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside<U, R> {
    /// The kind.
    pub kind: U,
    /// What stands beside it.
    pub beside: R,
}

impl<U: Union, R: Piece<Rule = ()>> Piece for Beside<U, R> {
    type Rule = ();

    fn read(node: &Node, (): &(), path: &str, errors: &mut Vec<SpecError>) -> Option<Self> {
        let fields = R::shape(&()).fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let kind = read_union(node, path, &names, errors);
        let mut own = node.empty_map();
        if let (Kind::Map(all), Kind::Map(mine)) = (&node.kind, &mut own.kind) {
            mine.extend(all.iter().filter(|(key, _)| key.text().is_some_and(|word| names.contains(&word))).cloned());
        }
        let beside = R::read(&own, &(), path, errors);
        Some(Self { kind: kind?, beside: beside? })
    }

    fn write(&self) -> Value {
        let (word, fields) = self.kind.write_as();
        let mut entries = vec![(word.to_owned(), fields)];
        if let Value::Map(own) = self.beside.write() {
            entries.extend(own);
        }
        Value::Map(entries)
    }

    fn shape((): &()) -> Shape {
        let (name, doc) = U::about();
        Shape::Union { name, doc, kinds: U::kinds, beside: Some(Box::new(R::shape(&()))) }
    }
}

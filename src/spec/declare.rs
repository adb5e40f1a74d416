//! The macros that declare a type of the language, once: reading with located errors, the canonical form, the JSON
//! Schema, the reference and the knob view all follow from the declaration.

/// Declares a record of the language: a struct whose fields each have a doc, a type, perhaps a default, and a rule.
macro_rules! record {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty $(= $default:expr)?, $rule:expr; )* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: $ty, )* }

        impl $crate::spec::piece::Piece for $name {
            type Rule = ();

            fn read(node: &$crate::spec::node::Node, (): &(), path: &str, errors: &mut Vec<$crate::spec::error::SpecError>) -> Option<Self> {
                let entries = $crate::spec::piece::Entries::open(node, path, &[$(stringify!($field)),*], errors)?;
                let _ = &entries;
                $( let $field = entries.take::<$ty>(stringify!($field), &$rule, $crate::spec::declare::record!(@default $($default)?), errors); )*
                Some(Self { $( $field: $field? ),* })
            }

            fn write(&self) -> $crate::spec::value::Value {
                $crate::spec::value::Value::Map(vec![ $( (stringify!($field).to_owned(), $crate::spec::piece::Piece::write(&self.$field)) ),* ])
            }

            fn shape((): &()) -> $crate::spec::shape::Shape {
                $crate::spec::shape::Shape::Record {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),+),
                    fields: || vec![ $( $crate::spec::shape::Field {
                        name: stringify!($field),
                        doc: concat!($($fdoc, "\n"),+),
                        shape: <$ty as $crate::spec::piece::Piece>::shape(&$rule),
                        default: { let default: Option<$ty> = $crate::spec::declare::record!(@default $($default)?); default.map(|value| $crate::spec::piece::Piece::write(&value)) },
                    } ),* ],
                }
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}

/// Declares a choice between words.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant, )+ }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The word in a spec.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl $crate::spec::piece::Piece for $name {
            type Rule = ();

            fn read(node: &$crate::spec::node::Node, (): &(), path: &str, errors: &mut Vec<$crate::spec::error::SpecError>) -> Option<Self> {
                let words: &[&str] = &[ $( $word ),+ ];
                let Some(found) = node.text() else {
                    $crate::spec::piece::refuse(errors, node, path, format!("found {}, wanted one of {}", node.describe(), words.join(", ")));
                    return None;
                };
                let choice = Self::ALL.iter().copied().find(|choice| choice.word() == found);
                if choice.is_none() {
                    let near = $crate::spec::error::nearest(found, words);
                    $crate::spec::piece::refuse(errors, node, path, format!("`{found}` is not known here; allowed: {}.{near}", words.join(", ")));
                }
                choice
            }

            fn write(&self) -> $crate::spec::value::Value {
                $crate::spec::value::Value::Text(self.word().into())
            }

            fn shape((): &()) -> $crate::spec::shape::Shape {
                $crate::spec::shape::Shape::Choice {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),+),
                    words: &[ $( ($word, concat!($($vdoc, "\n"),+)) ),+ ],
                }
            }
        }
    };
}

/// Declares a union: one of several kinds, each with a payload of its own.
macro_rules! union {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident($ty:ty) = $word:literal, $rule:expr; )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant($ty), )+ }

        impl $crate::spec::piece::Union for $name {
            const WORDS: &'static [&'static str] = &[ $( $word ),+ ];

            fn read_as(word: &str, fields: &$crate::spec::node::Node, path: &str, errors: &mut Vec<$crate::spec::error::SpecError>) -> Option<Self> {
                match word {
                    $( $word => <$ty as $crate::spec::piece::Piece>::read(fields, &$rule, path, errors).map(Self::$variant), )+
                    _ => None,
                }
            }

            fn write_as(&self) -> (&'static str, $crate::spec::value::Value) {
                match self { $( Self::$variant(fields) => ($word, $crate::spec::piece::Piece::write(fields)), )+ }
            }

            fn kinds() -> Vec<$crate::spec::shape::Field> {
                vec![ $( $crate::spec::shape::Field {
                    name: $word,
                    doc: concat!($($vdoc, "\n"),+),
                    shape: <$ty as $crate::spec::piece::Piece>::shape(&$rule),
                    default: None,
                } ),+ ]
            }

            fn about() -> (&'static str, &'static str) {
                (stringify!($name), concat!($($doc, "\n"),+))
            }
        }

        impl $crate::spec::piece::Piece for $name {
            type Rule = ();

            fn read(node: &$crate::spec::node::Node, (): &(), path: &str, errors: &mut Vec<$crate::spec::error::SpecError>) -> Option<Self> {
                $crate::spec::piece::read_union(node, path, &[], errors)
            }

            fn write(&self) -> $crate::spec::value::Value {
                $crate::spec::piece::write_union(self)
            }

            fn shape((): &()) -> $crate::spec::shape::Shape {
                let (name, doc) = <$name as $crate::spec::piece::Union>::about();
                $crate::spec::shape::Shape::Union { name, doc, kinds: <$name as $crate::spec::piece::Union>::kinds, beside: None }
            }
        }
    };
}

pub(crate) use {choice, record, union};

//! Python values to JSON. Nothing is narrowed: integers keep 64 bits, floats 64, strings every character.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value};

/// Deeper nesting is refused instead of exhausting the stack.
const MAX_DEPTH: usize = 100;

/// Converts an argument. `name` and the path inside it are told if something in it is no JSON.
pub(crate) fn from_python(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Value> {
    convert(value, 0).map_err(|(path, reason)| {
        let at = if path.is_empty() { String::new() } else { format!(" at {}", path.concat()) };
        PyTypeError::new_err(format!("Invalid JSON value in {name}{at}: {reason}"))
    })
}

type Failure = (Vec<String>, String);

fn convert(value: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Failure> {
    let fail = |reason: String| (Vec::new(), reason);
    if depth > MAX_DEPTH {
        return Err(fail(format!("nested deeper than {MAX_DEPTH}")));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        let number = value.extract::<i64>().map(Number::from).or_else(|_| value.extract::<u64>().map(Number::from));
        return number.map(Value::Number).map_err(|_| fail("an integer beyond 64 bits".to_owned()));
    }
    if value.is_instance_of::<PyFloat>() {
        let number = value.extract::<f64>().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or_else(|| fail("a float that is not finite".to_owned()));
    }
    if value.is_instance_of::<PyString>() {
        return value
            .extract::<String>()
            .map(Value::String)
            .map_err(|_| fail("a string with lone surrogates".to_owned()));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return object(dict, depth);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter().map_err(|error| fail(error.to_string()))?;
        let mut array = Vec::new();
        for (index, item) in items.enumerate() {
            let item = item.map_err(|error| fail(error.to_string()))?;
            array.push(convert(&item, depth + 1).map_err(|f| within(f, &format!("[{index}]")))?);
        }
        return Ok(Value::Array(array));
    }
    // numpy scalars tell their Python value themselves.
    if let (true, Ok(item)) = (value.hasattr("dtype").unwrap_or(false), value.call_method0("item"))
        && !item.is(value)
    {
        return convert(&item, depth + 1);
    }
    let given = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    Err(fail(format!("{given} is not a JSON type")))
}

fn object(dict: &Bound<'_, PyDict>, depth: usize) -> Result<Value, Failure> {
    let mut object = Map::new();
    for (key, item) in dict.iter() {
        let Ok(key) = key.extract::<String>() else {
            let given = key.get_type().name().map(|name| name.to_string()).unwrap_or_default();
            return Err((Vec::new(), format!("keys must be str, not {given}")));
        };
        let value = convert(&item, depth + 1).map_err(|f| within(f, &format!("[{key:?}]")))?;
        object.insert(key, value);
    }
    Ok(Value::Object(object))
}

fn within((mut path, reason): Failure, step: &str) -> Failure {
    path.insert(0, step.to_owned());
    (path, reason)
}

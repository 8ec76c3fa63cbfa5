//! Counters: INCR and its kin, whole and decimal.

use super::{NOT_A_FLOAT, NOT_AN_INTEGER, ONE, Why, line, refusal};
use crate::resp::command::flag::{DENYOOM, FAST, WRITE};
use crate::resp::command::{Call, Command};
use crate::resp::decimal::{self, Number};
use crate::resp::number;
use ::larder::{Change, NewValue, Write};

const W: u16 = WRITE | DENYOOM | FAST;

/// The table.
pub static COMMANDS: [Command; 5] = [
    line("INCR", 2, W, ONE, "string", "1.0.0", "Adds one.", incr),
    line("DECR", 2, W, ONE, "string", "1.0.0", "Takes one away.", decr),
    line("INCRBY", 3, W, ONE, "string", "1.0.0", "Adds a whole number.", incrby),
    line("DECRBY", 3, W, ONE, "string", "1.0.0", "Takes a whole number away.", decrby),
    line("INCRBYFLOAT", 3, W, ONE, "string", "2.6.0", "Adds a decimal number.", incrbyfloat),
];

const OVERFLOW: &str = "ERR increment or decrement would overflow";
/// Digits of a whole number at most, with its sign.
const DIGITS: usize = 20;
/// Bytes of a decimal number at most, as it is told.
const DECIMAL: usize = 6 << 10;

fn incr(call: &mut Call<'_>) {
    call.answer(|call| add(call, 1));
}

fn decr(call: &mut Call<'_>) {
    call.answer(|call| add(call, -1));
}

fn incrby(call: &mut Call<'_>) {
    call.answer(|call| add(call, call.integer(2)?));
}

fn decrby(call: &mut Call<'_>) {
    call.answer(|call| match call.integer(2)?.checked_neg() {
        Some(number) => add(call, number),
        None => Err("ERR decrement would overflow".into()),
    });
}

fn add(call: &mut Call<'_>, number: i64) -> Result<(), Why> {
    let (sum, _) = call
        .server
        .store
        .update(call.session.id(), call.args.at(1), DIGITS, call.scratch, |current, built| {
            let Some(now) = current.map_or(Some(0), |current| number::integer(current.value))
            else {
                return (Change::Keep, Err(NOT_AN_INTEGER));
            };
            let Some(sum) = now.checked_add(number) else {
                return (Change::Keep, Err(OVERFLOW));
            };
            number::write(built, sum);
            (Change::Store(Write { value: NewValue::Built, ..Write::default() }), Ok(sum))
        })
        .map_err(refusal)?;
    call.out.integer(sum?);
    Ok(())
}

fn incrbyfloat(call: &mut Call<'_>) {
    call.answer(|call| {
        let Some(number) = decimal::parse(call.args.at(2)) else { return Err(NOT_A_FLOAT.into()) };
        let mut told = Vec::new();
        let (done, _) = call
            .server
            .store
            .update(call.session.id(), call.args.at(1), DECIMAL, call.scratch, |current, built| {
                let now = decimal::parse(current.map_or(b"0", |current| current.value));
                let sum = match (now, &number) {
                    (None, _) => return (Change::Keep, Err(NOT_A_FLOAT)),
                    (Some(Number::Finite(now)), Number::Finite(number)) => now.plus(number),
                    _ => None,
                };
                let Some(sum) = sum else {
                    return (Change::Keep, Err("ERR increment would produce NaN or Infinity"));
                };
                told = sum.text();
                built.extend_from_slice(&told);
                (Change::Store(Write { value: NewValue::Built, ..Write::default() }), Ok(()))
            })
            .map_err(refusal)?;
        done?;
        call.out.bulk(&told);
        Ok(())
    });
}

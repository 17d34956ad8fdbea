/** Dates and times as PostgreSQL prints them (DateStyle ISO), to ISO 8601 with microseconds. */

const STAMP =
  /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?( BC)?$/;

/** Days since 1970-01-01 of the proleptic Gregorian calendar, for any year. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719468
  );
}

function civilFromDays(days: number): [year: number, month: number, day: number] {
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const ofEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) /
      365,
  );
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * ofYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return [year, month, ofYear - Math.floor((153 * shifted + 2) / 5) + 1];
}

const two = (n: number) => `${n}`.padStart(2, "0");

/** ISO 8601: four digits, or six with a sign where four are not enough. */
function isoYear(year: number): string {
  if (year >= 0 && year <= 9999) return `${year}`.padStart(4, "0");
  return `${year < 0 ? "-" : "+"}${`${Math.abs(year)}`.padStart(6, "0")}`;
}

const isoDate = (year: number, month: number, day: number) =>
  `${isoYear(year)}-${two(month)}-${two(day)}`;

/** timestamptz in UTC, timestamp without a zone, date; what is not of that form (infinity) as it is. */
export function isoTimestamp(text: string): string {
  const match = STAMP.exec(text);
  if (match === null) return text;
  const [, y, mo, d, h, mi, s, fraction = "", sign, zh = "0", zm = "0", zs = "0", bc] = match;
  const year = bc === undefined ? Number(y) : 1 - Number(y);
  if (h === undefined) return isoDate(year, Number(mo), Number(d));
  const micros = fraction.padEnd(6, "0");
  if (sign === undefined)
    return `${isoDate(year, Number(mo), Number(d))}T${h}:${mi}:${s}.${micros}`;
  const offset = (sign === "-" ? -1 : 1) * (Number(zh) * 3600 + Number(zm) * 60 + Number(zs));
  const seconds =
    daysFromCivil(year, Number(mo), Number(d)) * 86400 +
    (Number(h) * 3600 + Number(mi) * 60 + Number(s)) -
    offset;
  const days = Math.floor(seconds / 86400);
  const rest = seconds - days * 86400;
  const time = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60].map(two).join(":");
  return `${isoDate(...civilFromDays(days))}T${time}.${micros}Z`;
}

/** `12:00:00+02` → `12:00:00+02:00`. */
export function isoTimeWithZone(text: string): string {
  return text.replace(/([+-]\d\d)$/, "$1:00");
}

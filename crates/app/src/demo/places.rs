//! Where the demo's shoppers live and what people are called there. First and last names are common ones of each
//! country, combined at random: no person is meant, and every address lies in a domain reserved for examples.

/// A country's names and places.
#[derive(Debug)]
pub struct Country {
    /// ISO 3166-1.
    pub code: &'static str,
    /// BCP 47.
    pub locale: &'static str,
    /// How many of a hundred shoppers live there.
    pub share: usize,
    /// Common first names.
    pub first: &'static [&'static str],
    /// Common last names.
    pub last: &'static [&'static str],
    /// Where people live.
    pub places: &'static [Place],
}

/// A city or a town.
#[derive(Debug)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Its time zone.
    pub zone: &'static str,
    /// The zone's standard time. Units: hours ahead of UTC. Daily rhythms need no more than that.
    pub offset_h: f64,
    /// A city rather than a town.
    pub urban: bool,
}

const fn city(name: &'static str, zone: &'static str, offset_h: f64) -> Place {
    Place { name, zone, offset_h, urban: true }
}

const fn town(name: &'static str, zone: &'static str, offset_h: f64) -> Place {
    Place { name, zone, offset_h, urban: false }
}

/// The countries; their shares add up to a hundred.
pub const COUNTRIES: &[Country] = &[
    Country {
        code: "DE",
        locale: "de-DE",
        share: 24,
        first: &[
            "Anna",
            "Ben",
            "Clara",
            "David",
            "Emma",
            "Finn",
            "Jonas",
            "Katharina",
            "Lea",
            "Lukas",
            "Marie",
            "Maximilian",
            "Mia",
            "Paul",
            "Sophie",
            "Tim",
        ],
        last: &[
            "Becker",
            "Fischer",
            "Hoffmann",
            "Koch",
            "Krüger",
            "Meyer",
            "Müller",
            "Schäfer",
            "Schmidt",
            "Schneider",
            "Schulz",
            "Wagner",
            "Weber",
            "Wolf",
        ],
        places: &[
            city("Berlin", "Europe/Berlin", 1.0),
            city("Hamburg", "Europe/Berlin", 1.0),
            city("Munich", "Europe/Berlin", 1.0),
            town("Husum", "Europe/Berlin", 1.0),
            town("Görlitz", "Europe/Berlin", 1.0),
        ],
    },
    Country {
        code: "GB",
        locale: "en-GB",
        share: 16,
        first: &[
            "Amelia",
            "Charlotte",
            "Daniel",
            "Emily",
            "George",
            "Grace",
            "Harry",
            "Jack",
            "James",
            "Lily",
            "Olivia",
            "Oscar",
            "Sophia",
            "Thomas",
            "William",
            "Zara",
        ],
        last: &[
            "Brown", "Clarke", "Davies", "Evans", "Green", "Hall", "Hughes", "Jones", "Khan", "Lewis",
            "Roberts", "Smith", "Taylor", "Wilson",
        ],
        places: &[
            city("London", "Europe/London", 0.0),
            city("Manchester", "Europe/London", 0.0),
            city("Glasgow", "Europe/London", 0.0),
            town("Whitby", "Europe/London", 0.0),
        ],
    },
    Country {
        code: "FR",
        locale: "fr-FR",
        share: 12,
        first: &[
            "Adam", "Camille", "Chloé", "Gabriel", "Hugo", "Inès", "Jade", "Jules", "Léa", "Louis", "Louise",
            "Lucas", "Manon", "Nathan", "Raphaël", "Zoé",
        ],
        last: &[
            "Bernard", "Bonnet", "Dubois", "Durand", "Fontaine", "Garnier", "Lambert", "Laurent", "Leroy",
            "Martin", "Moreau", "Petit", "Robert", "Roux",
        ],
        places: &[
            city("Paris", "Europe/Paris", 1.0),
            city("Lyon", "Europe/Paris", 1.0),
            city("Marseille", "Europe/Paris", 1.0),
            town("Sarlat", "Europe/Paris", 1.0),
        ],
    },
    Country {
        code: "PT",
        locale: "pt-PT",
        share: 7,
        first: &[
            "Afonso",
            "Beatriz",
            "Carolina",
            "Diogo",
            "Francisco",
            "Inês",
            "João",
            "Leonor",
            "Maria",
            "Martim",
            "Matilde",
            "Rodrigo",
            "Santiago",
            "Tomás",
        ],
        last: &[
            "Almeida",
            "Carvalho",
            "Costa",
            "Fernandes",
            "Ferreira",
            "Gomes",
            "Lopes",
            "Martins",
            "Oliveira",
            "Pereira",
            "Ribeiro",
            "Rodrigues",
            "Santos",
            "Silva",
        ],
        places: &[
            city("Lisbon", "Europe/Lisbon", 0.0),
            city("Porto", "Europe/Lisbon", 0.0),
            town("Tavira", "Europe/Lisbon", 0.0),
        ],
    },
    Country {
        code: "US",
        locale: "en-US",
        share: 16,
        first: &[
            "Abigail", "Andrew", "Ava", "Benjamin", "Emma", "Ethan", "Hannah", "Isabella", "Jacob", "Liam",
            "Madison", "Michael", "Noah", "Olivia", "Samuel", "Victoria",
        ],
        last: &[
            "Anderson", "Brown", "Davis", "Garcia", "Harris", "Jackson", "Johnson", "Lee", "Martinez",
            "Miller", "Moore", "Nguyen", "Thompson", "Williams",
        ],
        places: &[
            city("New York", "America/New_York", -5.0),
            city("Chicago", "America/Chicago", -6.0),
            city("San Francisco", "America/Los_Angeles", -8.0),
            town("Bozeman", "America/Denver", -7.0),
        ],
    },
    Country {
        code: "IN",
        locale: "en-IN",
        share: 8,
        first: &[
            "Aarav", "Aditya", "Ananya", "Arjun", "Diya", "Ishaan", "Kavya", "Meera", "Neha", "Priya",
            "Rahul", "Riya", "Rohan", "Vikram",
        ],
        last: &[
            "Das", "Gupta", "Iyer", "Joshi", "Kapoor", "Kumar", "Mehta", "Nair", "Patel", "Rao", "Reddy",
            "Shah", "Sharma", "Singh",
        ],
        places: &[
            city("Mumbai", "Asia/Kolkata", 5.5),
            city("Bengaluru", "Asia/Kolkata", 5.5),
            town("Munnar", "Asia/Kolkata", 5.5),
        ],
    },
    Country {
        code: "BD",
        locale: "bn-BD",
        share: 5,
        first: &[
            "Arif", "Ayesha", "Fahim", "Farhana", "Hasan", "Imran", "Jannat", "Mahmud", "Nusrat", "Rafiq",
            "Sabrina", "Sadia", "Tanvir", "Tasnim",
        ],
        last: &[
            "Ahmed",
            "Akter",
            "Alam",
            "Begum",
            "Chowdhury",
            "Haque",
            "Hossain",
            "Islam",
            "Karim",
            "Khatun",
            "Rahman",
            "Sarker",
            "Sultana",
            "Uddin",
        ],
        places: &[
            city("Dhaka", "Asia/Dhaka", 6.0),
            city("Chattogram", "Asia/Dhaka", 6.0),
            town("Srimangal", "Asia/Dhaka", 6.0),
        ],
    },
    Country {
        code: "JP",
        locale: "ja-JP",
        share: 6,
        first: &[
            "Aoi", "Daiki", "Haruto", "Hina", "Kaito", "Mei", "Miyu", "Ren", "Sakura", "Sota", "Takumi",
            "Yui", "Yuna", "Yuto",
        ],
        last: &[
            "Inoue",
            "Ito",
            "Kato",
            "Kimura",
            "Kobayashi",
            "Matsumoto",
            "Nakamura",
            "Saito",
            "Sasaki",
            "Sato",
            "Suzuki",
            "Tanaka",
            "Watanabe",
            "Yamamoto",
        ],
        places: &[
            city("Tokyo", "Asia/Tokyo", 9.0),
            city("Osaka", "Asia/Tokyo", 9.0),
            town("Hakone", "Asia/Tokyo", 9.0),
        ],
    },
    Country {
        code: "BR",
        locale: "pt-BR",
        share: 6,
        first: &[
            "Alice",
            "Arthur",
            "Bernardo",
            "Davi",
            "Gabriel",
            "Helena",
            "Heitor",
            "Júlia",
            "Laura",
            "Lucas",
            "Manuela",
            "Miguel",
            "Rafael",
            "Valentina",
        ],
        last: &[
            "Almeida",
            "Alves",
            "Araújo",
            "Barbosa",
            "Cardoso",
            "Lima",
            "Melo",
            "Nascimento",
            "Oliveira",
            "Rocha",
            "Santos",
            "Silva",
            "Souza",
            "Teixeira",
        ],
        places: &[
            city("São Paulo", "America/Sao_Paulo", -3.0),
            city("Recife", "America/Recife", -3.0),
            town("Paraty", "America/Sao_Paulo", -3.0),
        ],
    },
];

/// Domains that RFC 2606 reserves: nobody can have an address there.
pub const DOMAINS: &[&str] = &["example.com", "example.net", "example.org", "mail.example", "post.example"];

/// The name in letters that every address may have.
pub fn ascii(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' => out.push(c),
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            'á' | 'ã' | 'â' | 'à' => out.push('a'),
            'é' | 'ê' | 'è' | 'ë' => out.push('e'),
            'í' | 'ï' => out.push('i'),
            'ó' | 'õ' | 'ô' => out.push('o'),
            'ú' => out.push('u'),
            'ç' => out.push('c'),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_is_known_every_name_makes_an_address_and_shares_add_up() {
        assert_eq!(COUNTRIES.iter().map(|country| country.share).sum::<usize>(), 100);
        for country in COUNTRIES {
            for place in country.places {
                let zone = jiff::tz::TimeZone::get(place.zone).unwrap();
                let winter = jiff::Timestamp::from_second(1_767_225_600).unwrap();
                let summer = jiff::Timestamp::from_second(1_782_864_000).unwrap();
                let hours = |at| f64::from(zone.to_offset(at).seconds()) / 3_600.0;
                assert!([winter, summer].map(hours).contains(&place.offset_h), "{}", place.name);
            }
            for name in country.first.iter().chain(country.last) {
                assert!(!ascii(name).is_empty(), "{name}");
                assert!(name.chars().all(|c| !ascii(&c.to_string()).is_empty()), "{name} loses a letter");
            }
        }
    }
}

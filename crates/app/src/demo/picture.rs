//! The pictures of the demo's catalogue, drawn as SVG from a few shapes.

/// What each kind looks like on a field of 320 × 240: `A` stands for the main colour, `B` for a light one, `C` for ink.
const GLYPHS: &[(&str, &str)] = &[
    (
        "Runner",
        r#"<path d="M70 150q30-2 52-50l30 18q22 28 72 34 26 4 26 22H70z" fill="A"/><path d="M70 174h182v12H70z" fill="B"/><path d="M132 112l22 10M146 128l20 8" stroke="B" stroke-width="6"/>"#,
    ),
    (
        "Trail shoe",
        r#"<path d="M70 146q26-6 44-54l40 22q22 30 70 36 28 4 28 26H70z" fill="A"/><path d="M70 174h182l-8 14-14-6-14 6-14-6-14 6-14-6-14 6-14-6-14 6-14-6-14 6-14-6-14 6z" fill="C"/><path d="M126 110l26 12" stroke="B" stroke-width="7"/>"#,
    ),
    (
        "Sneaker",
        r#"<path d="M72 104q34 14 56-6 30 40 80 48 40 6 42 28H72z" fill="A"/><path d="M72 170h178v16H72z" fill="B"/><circle cx="104" cy="134" r="14" fill="B"/>"#,
    ),
    (
        "Boot",
        r#"<path d="M108 54h62v76q60 8 72 32v16H108z" fill="A"/><path d="M108 178h134v14H108z" fill="C"/><path d="M146 76h24M146 96h24M146 116h24" stroke="B" stroke-width="6"/>"#,
    ),
    (
        "Sandal",
        r#"<path d="M68 168q92 22 184-6v16q-92 30-184 6z" fill="C"/><path d="M100 172q10-64 54-66 40 4 66 62" fill="none" stroke="A" stroke-width="16"/>"#,
    ),
    (
        "Kettlebell",
        r#"<path d="M128 108q-12-58 32-58t32 58" fill="none" stroke="C" stroke-width="18"/><circle cx="160" cy="146" r="54" fill="A"/><circle cx="160" cy="146" r="22" fill="B"/>"#,
    ),
    (
        "Yoga mat",
        r#"<rect x="84" y="92" width="152" height="76" rx="6" fill="A"/><circle cx="236" cy="130" r="38" fill="B"/><path d="M236 130m-24 0a24 24 0 1 0 24-24m-10 24a10 10 0 1 0 10-10" fill="none" stroke="A" stroke-width="6"/>"#,
    ),
    (
        "Resistance band",
        r#"<ellipse cx="160" cy="126" rx="82" ry="48" fill="none" stroke="A" stroke-width="22"/><ellipse cx="160" cy="126" rx="82" ry="48" fill="none" stroke="B" stroke-width="5"/>"#,
    ),
    (
        "Foam roller",
        r#"<rect x="76" y="90" width="150" height="80" rx="12" fill="A"/><ellipse cx="226" cy="130" rx="22" ry="40" fill="B"/><ellipse cx="226" cy="130" rx="9" ry="18" fill="C"/><path d="M104 90v80M140 90v80M176 90v80" stroke="B" stroke-width="5"/>"#,
    ),
    (
        "Skipping rope",
        r#"<path d="M100 84q-20 108 60 104t60-104" fill="none" stroke="A" stroke-width="9"/><rect x="88" y="50" width="22" height="56" rx="9" fill="C"/><rect x="210" y="50" width="22" height="56" rx="9" fill="C"/>"#,
    ),
    (
        "Teapot",
        r#"<path d="M112 100h96q26 30 0 78h-96q-26-48 0-78z" fill="A"/><path d="M96 124q-36-14-40-34 34-2 52 22" fill="A"/><path d="M214 112q44 4 12 48" fill="none" stroke="C" stroke-width="11"/><rect x="138" y="82" width="44" height="18" rx="8" fill="C"/>"#,
    ),
    (
        "Cutting board",
        r#"<rect x="70" y="80" width="180" height="104" rx="16" fill="A"/><circle cx="228" cy="102" r="9" fill="B"/><path d="M92 112h104M92 136h130M92 160h116" stroke="B" stroke-width="4" opacity=".6"/>"#,
    ),
    (
        "Cast-iron pan",
        r#"<circle cx="140" cy="130" r="62" fill="C"/><circle cx="140" cy="130" r="48" fill="A"/><rect x="196" y="120" width="82" height="20" rx="10" fill="C"/>"#,
    ),
    (
        "Mixing bowl",
        r#"<path d="M76 106h168q-6 78-84 78t-84-78z" fill="A"/><ellipse cx="160" cy="106" rx="84" ry="18" fill="B"/><path d="M172 100l46-56" stroke="C" stroke-width="10"/>"#,
    ),
    (
        "Coffee grinder",
        r#"<rect x="112" y="116" width="96" height="76" rx="8" fill="A"/><path d="M124 116q36-44 72 0z" fill="C"/><path d="M160 94V62h46" fill="none" stroke="C" stroke-width="8"/><circle cx="210" cy="62" r="11" fill="A"/><rect x="140" y="146" width="40" height="26" rx="4" fill="B"/>"#,
    ),
    (
        "Backpack",
        r#"<rect x="104" y="72" width="112" height="122" rx="34" fill="A"/><rect x="122" y="130" width="76" height="48" rx="10" fill="B"/><path d="M138 74q0-28 22-28t22 28" fill="none" stroke="C" stroke-width="9"/><path d="M122 112h76" stroke="C" stroke-width="6"/>"#,
    ),
    (
        "Head torch",
        r#"<path d="M64 118q96-52 192 0" fill="none" stroke="A" stroke-width="24"/><rect x="128" y="92" width="64" height="52" rx="12" fill="C"/><circle cx="160" cy="118" r="18" fill="B"/><path d="M134 156l-16 34M160 160v38M186 156l16 34" stroke="B" stroke-width="7"/>"#,
    ),
    (
        "Flask",
        r#"<rect x="128" y="84" width="64" height="112" rx="14" fill="A"/><rect x="138" y="50" width="44" height="34" rx="8" fill="C"/><path d="M128 120h64" stroke="B" stroke-width="8"/>"#,
    ),
    (
        "Camp chair",
        r#"<path d="M98 64l16 68h92l16-68" fill="A"/><rect x="92" y="128" width="136" height="18" rx="8" fill="C"/><path d="M104 146l104 48M216 146l-104 48" stroke="C" stroke-width="9"/>"#,
    ),
    (
        "Rain jacket",
        r#"<path d="M128 62q32 24 64 0l50 34-20 36-18-10v72h-88v-72l-18 10-20-36z" fill="A"/><path d="M160 76v118" stroke="B" stroke-width="6"/><path d="M128 62q32 40 64 0" fill="C"/>"#,
    ),
    (
        "Field guide",
        r#"<rect x="106" y="54" width="108" height="140" rx="8" fill="A"/><path d="M122 54v140" stroke="C" stroke-width="7"/><path d="M168 156q-30-26 0-72 30 46 0 72z" fill="B"/><path d="M168 100v72" stroke="A" stroke-width="5"/>"#,
    ),
    (
        "Cookbook",
        r#"<rect x="106" y="54" width="108" height="140" rx="8" fill="A"/><path d="M122 54v140" stroke="C" stroke-width="7"/><circle cx="168" cy="122" r="28" fill="B"/><circle cx="168" cy="122" r="16" fill="A"/>"#,
    ),
    (
        "Atlas",
        r#"<rect x="96" y="58" width="128" height="132" rx="8" fill="A"/><circle cx="160" cy="124" r="42" fill="B"/><path d="M118 124h84M160 82q-30 42 0 84 30-42 0-84z" fill="none" stroke="A" stroke-width="5"/>"#,
    ),
    (
        "Notebook",
        r#"<rect x="108" y="54" width="106" height="140" rx="10" fill="A"/><path d="M196 54v140" stroke="C" stroke-width="8"/><path d="M100 76h20M100 100h20M100 124h20M100 148h20M100 172h20" stroke="B" stroke-width="7"/>"#,
    ),
    (
        "Sketchbook",
        r#"<rect x="80" y="78" width="150" height="104" rx="8" fill="B"/><path d="M80 96h150" stroke="A" stroke-width="12"/><path d="M104 156q24-40 44-12t48-24" fill="none" stroke="A" stroke-width="6"/><path d="M240 66l-46 66-10 18 16-12 52-64z" fill="C"/>"#,
    ),
    (
        "Cashmere scarf",
        r#"<path d="M98 70q62 46 124 0v26q-20 18-44 22l14 66h-36l-8-62q-30-4-50-26z" fill="A"/><path d="M156 184v14M168 184v14M180 184v14" stroke="A" stroke-width="6"/><path d="M150 150h32M152 166h34" stroke="B" stroke-width="6"/>"#,
    ),
    (
        "Leather bag",
        r#"<path d="M80 108h160l14 80H66z" fill="A"/><path d="M118 108q0-54 42-54t42 54" fill="none" stroke="C" stroke-width="11"/><rect x="144" y="128" width="32" height="24" rx="5" fill="B"/>"#,
    ),
    (
        "Silk shirt",
        r#"<path d="M126 62h68l52 34-22 36-16-10v72h-96v-72l-16 10-22-36z" fill="A"/><path d="M142 62l18 28 18-28" fill="B"/><g fill="B"><circle cx="160" cy="112" r="4"/><circle cx="160" cy="138" r="4"/><circle cx="160" cy="164" r="4"/></g>"#,
    ),
    (
        "Watch stand",
        r#"<path d="M96 184h128v12H96z" fill="C"/><path d="M160 184v-40" stroke="C" stroke-width="12"/><circle cx="160" cy="108" r="44" fill="A"/><circle cx="160" cy="108" r="33" fill="B"/><path d="M160 86v22l16 10" fill="none" stroke="C" stroke-width="6"/>"#,
    ),
    (
        "Crystal vase",
        r#"<path d="M116 64h88l-16 60 12 68h-80l12-68z" fill="A"/><path d="M116 64l34 60-30 68M204 64l-34 60 30 68M132 124h56" fill="none" stroke="B" stroke-width="5"/>"#,
    ),
];

/// The picture of `kind` in a style's hue, on its shelf's colour.
pub fn draw(kind: &str, style: &str, color: &str, hue: usize) -> String {
    let glyph = GLYPHS.iter().find(|(name, _)| *name == kind).map_or("", |(_, glyph)| glyph);
    let glyph = glyph
        .replace("\"A\"", &format!("\"hsl({hue} 48% 46%)\""))
        .replace("\"B\"", &format!("\"hsl({hue} 55% 86%)\""))
        .replace("\"C\"", &format!("\"hsl({hue} 30% 24%)\""));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" role="img" aria-label="{style} {lower}">
<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#faf9f6"/><stop offset="1" stop-color="{color}" stop-opacity=".28"/></linearGradient></defs>
<rect width="320" height="240" fill="#faf9f6"/><rect width="320" height="240" fill="url(#g)"/>
<ellipse cx="160" cy="204" rx="104" ry="10" fill="#000" opacity=".08"/><g stroke-linecap="round" stroke-linejoin="round">{glyph}</g></svg>"##,
        lower = kind.to_lowercase(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_on_a_shelf_has_a_picture_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for (kind, glyph) in GLYPHS {
            assert!(seen.insert(glyph), "{kind}");
            let svg = draw(kind, "Amber", "#2f6f8f", 40);
            assert!(!svg.contains("\"A\"") && !svg.contains("\"B\"") && !svg.contains("\"C\""), "{kind}");
        }
        for item in super::super::shop::catalogue(7) {
            assert!(
                item.svg.contains("<path")
                    || item.svg.contains("<circle")
                    || item.svg.contains("<ellipse cx=\"160\" cy=\"126\""),
                "{}",
                item.name
            );
        }
    }
}

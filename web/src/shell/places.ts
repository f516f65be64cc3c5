/** The places of the console in the order of the rail; a place stands here when it works, not before. */
import {
  IconBolt, IconDatabaseSearch, IconFilter, IconGridDots, IconHome, IconMail, IconMathFunction, IconRoute, IconSettings, IconShoppingBag, IconSparkles, IconTable,
  IconTargetArrow, IconTicket, IconUsers,
} from "@tabler/icons-react";

export const PLACES = [
  { group: "", label: "Home", to: "/", icon: IconHome, phone: true, key: "h" },
  { group: "Audience", label: "Profiles", to: "/profiles", icon: IconUsers, phone: true, key: "p" },
  { group: "Audience", label: "Segments", to: "/segments", icon: IconFilter, phone: true, key: "s" },
  { group: "Audience", label: "Traits", to: "/traits", icon: IconMathFunction, phone: false, key: "t" },
  { group: "Audience", label: "RFM", to: "/rfm", icon: IconGridDots, phone: false, key: "r" },
  { group: "Audience", label: "Rules", to: "/rules", icon: IconTargetArrow, phone: false, key: "u" },
  { group: "Audience", label: "Decision tables", to: "/tables", icon: IconTable, phone: false, key: "d" },
  { group: "Engage", label: "Journeys", to: "/journeys", icon: IconRoute, phone: false, key: "j" },
  { group: "Engage", label: "Messages", to: "/messages", icon: IconMail, phone: false, key: "m" },
  { group: "Content", label: "Catalogue", to: "/catalogue", icon: IconShoppingBag, phone: false, key: "c" },
  { group: "Content", label: "Recommendations", to: "/recommendations", icon: IconSparkles, phone: false, key: "o" },
  { group: "Content", label: "Coupons", to: "/coupons", icon: IconTicket, phone: false, key: "k" },
  { group: "Insights", label: "Query", to: "/query", icon: IconDatabaseSearch, phone: false, key: "q" },
  { group: "Data", label: "Events", to: "/events", icon: IconBolt, phone: false, key: "e" },
  { group: "Workspace", label: "Settings", to: "/settings", icon: IconSettings, phone: false, key: "," },
];

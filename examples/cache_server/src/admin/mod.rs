//! To come: admin.

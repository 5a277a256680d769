//! `simsiam report --samples`.

use std::fs;

use super::data;
use crate::accessibility;
use crate::browser::Browser;
use crate::fixture::{Fixture, refused, simsiam, succeed};

/// Chooses an image on the map, and the other map; what is told about the image.
const CHOOSE: &str = r#"(() => {
  const map = document.querySelector(".map");
  map.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  [...map.querySelectorAll("button")].find((button) => button.textContent === "PCA").click();
  return map.querySelector(".told").textContent;
})()"#;

#[test]
fn images_of_a_run_are_shown_and_without_its_shards_it_says_where_they_were() {
    let fixture = Fixture::new();
    let val = fixture.path("val");
    let more = ["--epochs", "1", "--knn-every", "1", "--val-shards", val.to_str().unwrap()];
    succeed(&mut fixture.train("run", &more));
    succeed(simsiam().arg("eval").arg(fixture.path("run")).args(["--only", "knn"]));
    let out = fixture.path("report.html");
    let report = |more: &[&str]| {
        let mut command = simsiam();
        command.arg("report").arg(fixture.path("run")).arg("--out").arg(&out).args(more);
        command
    };
    succeed(&mut report(&["--samples", "30", "--step", "7"]));
    let page = fs::read_to_string(&out).unwrap();
    let map = &data(&page)["maps"][0];
    for (at, kind) in ["t-SNE", "PCA"].iter().enumerate() {
        let [name, points] = [0, 1].map(|part| &map["kinds"][at][part]);
        assert_eq!((name.as_str(), points.as_array().unwrap().len()), (Some(*kind), 30));
    }
    assert_eq!(map["classes"].as_array().unwrap().len(), 10);
    for step in [1, 7, 25] {
        assert!(page.contains(&format!("<summary>Views of step {step}, epoch 1</summary>")), "{step}");
    }
    assert_eq!(page.matches("<article>").count(), 3 * 4);
    assert_eq!(page.matches("<tr><th scope=\"row\"><img").count(), 20, "images with neighbours");
    assert!(page.contains("Among 200 training images") && page.contains("<table class=\"confusion\">"));

    if let Some(mut browser) = Browser::start(1440) {
        browser.open(&format!("file://{}", out.display()));
        let told = browser.evaluate(CHOOSE);
        assert!(told.as_str().unwrap().contains("sample 0"), "{told}");
        accessibility::check(&mut browser);
        assert!(browser.console.is_empty(), "{:?}", browser.console);
    }

    let printed = refused(&mut report(&["--samples", "--step", "26"]));
    assert!(printed.contains("--step 26: run ") && printed.contains(" has 25 steps"), "{printed}");
    assert!(refused(&mut report(&["--step", "2"])).contains("--samples"));
    fs::rename(fixture.path("val"), fixture.path("moved")).unwrap();
    let printed = refused(&mut report(&["--samples"]));
    assert!(printed.contains("--val-shards says where they are now"), "{printed}");
    let moved = fixture.path("moved");
    succeed(&mut report(&["--samples", "10", "--val-shards", moved.to_str().unwrap()]));
}
